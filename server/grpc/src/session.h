// Session: the server's side of one gRPC connection, without sockets, threads or clocks.
//
// Bytes from the network go in, calls come out; replies go in, bytes for the network come out.
// HTTP/2 itself is nghttp2's (third_party/); this adds what gRPC puts on top of it: which method,
// where a message ends, what a status looks like. (RFC 9113; "gRPC over HTTP2", grpc/doc.)
//
// A unary call is told when its one message is complete. A streaming call is told when it opens,
// then by message, then by its end; its flow-control window opens as messages are `consumed`.
//
// Not safe for use by several threads.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft {

// The peer does not speak HTTP/2, or memory is out: the connection cannot go on.
struct SessionError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct SessionLimits {
    size_t message_bytes_max = 0;
    uint32_t calls_max = 0;         // at a time
    uint32_t header_bytes_max = 0;  // of one call
};

struct SessionEvent {
    enum class Kind : uint8_t {
        call,     // a unary call with its message
        opened,   // a streaming call
        message,  // of a streaming call
        ended,    // the caller of a streaming call sends no more
        gone      // the caller has given up; nothing can be answered
    };
    Kind kind;
    int32_t stream;
    uint32_t method = 0;      // place in the table: call, opened
    bool compressed = false;  // call, message
    std::string message{};    // call, message
};

class Session {
  public:
    struct Method {
        std::string path;
        bool streaming;
    };

    Session(std::vector<Method> methods, const SessionLimits& limits);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Takes bytes of the peer and returns what happened. Raises SessionError.
    std::vector<SessionEvent> receive(const uint8_t* bytes, size_t size);
    // Up to about `size_max` bytes for the peer; empty when there is nothing to send.
    std::string_view outgoing(size_t size_max);
    // True when nothing more will come or go: close the connection.
    bool is_finished() const;

    // --- answers; a stream that is gone is ignored -------------------------------------------
    // Answers a unary call and ends it with OK.
    void reply(int32_t stream, std::string_view message);
    // Sends one message of a streaming call.
    void send(int32_t stream, std::string_view message);
    // Ends a call with a status (0: OK).
    void finish(int32_t stream, int code, std::string_view details);
    // Opens the window of a streaming call by a message of `size` bytes.
    void consumed(int32_t stream, size_t size);
    // A request header, by its lower-case name; empty if there is none.
    std::string_view header(int32_t stream, std::string_view name) const;
    // Takes no new calls; those that run may end.
    void go_away();
    size_t calls() const { return streams_.size(); }

  private:
    struct Stream {
        std::vector<std::pair<std::string, std::string>> headers;
        size_t header_bytes = 0;
        int method = -1;
        bool streaming = false;
        bool answered = false;  // its status is decided
        bool responding = false;
        bool closing = false;  // out holds all that will be sent
        std::string in;
        size_t unread = 0;  // bytes that still take room in the caller's window
        std::string out;
        size_t out_at = 0;
        int code = 0;
        std::string details;
    };

    static Session& self(void* user) { return *static_cast<Session*>(user); }
    Stream* find(int32_t stream);
    void register_callbacks(nghttp2_session_callbacks* callbacks);
    void submit_settings();
    void take_header(int32_t stream, std::string_view name, std::string_view value);
    void open(int32_t id);
    void take_data(int32_t id, const uint8_t* bytes, size_t size);
    void end_of_request(int32_t id);
    void close(int32_t id);
    void take_messages(int32_t id, Stream& stream);
    void consume(int32_t id, Stream& stream, size_t size);
    void begin_response(int32_t id, Stream& stream);
    nghttp2_ssize produce(int32_t id, uint8_t* out, size_t size, uint32_t* flags);
    void submit_status(int32_t id, int code, std::string_view details, bool trailers_only);
    void refuse(int32_t id, const char* http_status);

    const std::vector<Method> methods_;
    const SessionLimits limits_;
    nghttp2_session* session_ = nullptr;
    std::unordered_map<int32_t, Stream> streams_;
    std::vector<SessionEvent> events_;
    std::string outgoing_;
};

}  // namespace weft
