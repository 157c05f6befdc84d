#include "session.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft {

namespace {

constexpr size_t kPrefixBytes = 5;                // compressed:u8 length:u32, big-endian
constexpr uint32_t kStreamWindowBytes = 4 << 20;  // imports send megabytes a message
constexpr uint32_t kConnectionWindowBytes = 16 << 20;

enum Status { kOk = 0, kResourceExhausted = 8, kUnimplemented = 12, kInternal = 13 };

nghttp2_nv field(std::string_view name, std::string_view value) {
    auto bytes = [](std::string_view text) {
        return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

uint32_t length_at(const std::string& bytes) {
    auto byte = [&bytes](size_t at) {
        return static_cast<uint32_t>(static_cast<uint8_t>(bytes[at]));
    };
    return byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
}

void append_message(std::string_view message, std::string& out) {
    auto size = static_cast<uint32_t>(message.size());
    char prefix[kPrefixBytes] = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                                 static_cast<char>(size >> 8), static_cast<char>(size)};
    out.reserve(out.size() + kPrefixBytes + message.size());
    out.append(prefix, kPrefixBytes);
    out.append(message);
}

// Percent-encodes what HTTP cannot carry ("Status-Message" of the protocol).
std::string encoded(std::string_view text) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        auto byte = static_cast<uint8_t>(c);
        if (byte >= 0x20 && byte <= 0x7E && byte != '%') {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(kDigits[byte >> 4]);
            out.push_back(kDigits[byte & 15]);
        }
    }
    return out;
}

// "application/grpc", alone or with a format or a parameter behind it.
bool is_grpc(std::string_view content_type) {
    constexpr std::string_view kType = "application/grpc";
    if (content_type.substr(0, kType.size()) != kType) return false;
    std::string_view rest = content_type.substr(kType.size());
    return rest.empty() || rest[0] == '+' || rest[0] == ';';
}

void require(int code, const char* what) {
    if (code != 0) throw SessionError(std::string(what) + ": " + nghttp2_strerror(code));
}

}  // namespace

Session::Session(std::vector<Method> methods, const SessionLimits& limits)
    : methods_(std::move(methods)), limits_(limits) {
    nghttp2_session_callbacks* callbacks = nullptr;
    require(nghttp2_session_callbacks_new(&callbacks), "callbacks");
    std::unique_ptr<nghttp2_session_callbacks, void (*)(nghttp2_session_callbacks*)> held(
        callbacks, nghttp2_session_callbacks_del);
    register_callbacks(callbacks);
    nghttp2_option* option = nullptr;
    require(nghttp2_option_new(&option), "options");
    std::unique_ptr<nghttp2_option, void (*)(nghttp2_option*)> held_option(option,
                                                                           nghttp2_option_del);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, 1 << 16);
    require(nghttp2_session_server_new2(&session_, callbacks, this, option), "session");
    submit_settings();
}

Session::~Session() {
    nghttp2_session_del(session_);
}

void Session::submit_settings() {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.calls_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindowBytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_bytes_max},
    };
    require(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings)),
            "settings");
    require(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                  kConnectionWindowBytes),
            "window");
}

void Session::register_callbacks(nghttp2_session_callbacks* callbacks) {
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* user) {
            self(user).take_header(frame->hd.stream_id,
                                   {reinterpret_cast<const char*>(name), name_size},
                                   {reinterpret_cast<const char*>(value), value_size});
            return 0;
        });
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
            if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
                self(user).streams_.try_emplace(frame->hd.stream_id);
            return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, size_t size,
                      void* user) {
            self(user).take_data(stream, bytes, size);
            return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
            bool is_request =
                frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
            if (is_request) self(user).open(frame->hd.stream_id);
            bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
            if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
                self(user).end_of_request(frame->hd.stream_id);
            return 0;
        });
    nghttp2_session_callbacks_set_on_frame_send_callback(
        callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, void*) {
            // Answered before the request was complete: tell the caller to send no more.
            bool is_end = frame->hd.type == NGHTTP2_HEADERS &&
                          (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
            if (is_end &&
                nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
                return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                 NGHTTP2_NO_ERROR);
            return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t stream, uint32_t, void* user) {
            self(user).close(stream);
            return 0;
        });
}

std::vector<SessionEvent> Session::receive(const uint8_t* bytes, size_t size) {
    nghttp2_ssize taken = nghttp2_session_mem_recv2(session_, bytes, size);
    if (taken < 0) throw SessionError(nghttp2_strerror(static_cast<int>(taken)));
    return std::exchange(events_, {});
}

std::string_view Session::outgoing(size_t size_max) {
    outgoing_.clear();
    while (outgoing_.size() < size_max) {
        const uint8_t* bytes = nullptr;
        nghttp2_ssize size = nghttp2_session_mem_send2(session_, &bytes);
        if (size < 0) throw SessionError(nghttp2_strerror(static_cast<int>(size)));
        if (size == 0) break;
        outgoing_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    }
    return outgoing_;
}

bool Session::is_finished() const {
    return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

// --- what comes in ------------------------------------------------------------------------------

Session::Stream* Session::find(int32_t stream) {
    auto found = streams_.find(stream);
    return found == streams_.end() ? nullptr : &found->second;
}

void Session::take_header(int32_t id, std::string_view name, std::string_view value) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    stream->header_bytes += name.size() + value.size() + 32;  // as SETTINGS_MAX_HEADER_LIST_SIZE
    if (stream->header_bytes > limits_.header_bytes_max) {
        stream->headers.clear();
        refuse(id, "431");
        return;
    }
    stream->headers.emplace_back(name, value);
}

void Session::open(int32_t id) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    if (header(id, ":method") != "POST") return refuse(id, "405");
    if (!is_grpc(header(id, "content-type"))) return refuse(id, "415");
    std::string_view path = header(id, ":path");
    for (size_t at = 0; at < methods_.size(); ++at)
        if (methods_[at].path == path) stream->method = static_cast<int>(at);
    if (stream->method < 0) {
        return finish(id, kUnimplemented, "unknown method " + std::string(path.substr(0, 200)));
    }
    auto method = static_cast<uint32_t>(stream->method);
    stream->streaming = methods_[method].streaming;
    if (stream->streaming) events_.push_back({SessionEvent::Kind::opened, id, method});
}

void Session::take_data(int32_t id, const uint8_t* bytes, size_t size) {
    nghttp2_session_consume_connection(session_, size);
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    stream->in.append(reinterpret_cast<const char*>(bytes), size);
    if (stream->in.size() >= kPrefixBytes && length_at(stream->in) > limits_.message_bytes_max) {
        std::string details = "a message of " + std::to_string(length_at(stream->in)) +
                              " bytes; at most " + std::to_string(limits_.message_bytes_max) +
                              " are taken";
        return finish(id, kResourceExhausted, details);
    }
    stream->unread += size;
    if (stream->streaming) {
        take_messages(id, *stream);
    } else {
        consume(id, *stream, size);
        if (stream->in.size() > kPrefixBytes + limits_.message_bytes_max)
            finish(id, kInternal, "more than one message in a unary call");
    }
}

void Session::take_messages(int32_t id, Stream& stream) {
    size_t at = 0;
    while (stream.in.size() - at >= kPrefixBytes) {
        std::string prefix = stream.in.substr(at, kPrefixBytes);
        size_t size = length_at(prefix);
        if (size > limits_.message_bytes_max || stream.in.size() - at - kPrefixBytes < size) break;
        events_.push_back({SessionEvent::Kind::message, id, 0, prefix[0] != 0,
                           stream.in.substr(at + kPrefixBytes, size)});
        at += kPrefixBytes + size;
    }
    stream.in.erase(0, at);
    // A message may be larger than the window: its beginning must not hold up its end.
    if (stream.in.size() >= kStreamWindowBytes / 2) consume(id, stream, kStreamWindowBytes / 2);
}

void Session::end_of_request(int32_t id) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    if (stream->streaming) {
        if (!stream->in.empty()) return finish(id, kInternal, "the last message is cut");
        events_.push_back({SessionEvent::Kind::ended, id});
        return;
    }
    std::string& in = stream->in;
    if (in.size() < kPrefixBytes || in.size() - kPrefixBytes != length_at(in))
        return finish(id, kInternal, "a unary call needs exactly one whole message");
    bool compressed = in[0] != 0;
    in.erase(0, kPrefixBytes);
    events_.push_back({SessionEvent::Kind::call, id, static_cast<uint32_t>(stream->method),
                       compressed, std::move(in)});
    in.clear();
}

void Session::close(int32_t id) {
    Stream* stream = find(id);
    if (stream == nullptr) return;
    if (!stream->answered && stream->method >= 0) events_.push_back({SessionEvent::Kind::gone, id});
    streams_.erase(id);
}

// --- what goes out ------------------------------------------------------------------------------

void Session::begin_response(int32_t id, Stream& stream) {
    stream.responding = true;
    const nghttp2_nv fields[] = {field(":status", "200"),
                                 field("content-type", "application/grpc")};
    nghttp2_data_provider2 provider{};
    provider.read_callback = [](nghttp2_session*, int32_t stream_id, uint8_t* out, size_t size,
                                uint32_t* flags, nghttp2_data_source*, void* user) {
        return self(user).produce(stream_id, out, size, flags);
    };
    require(nghttp2_submit_response2(session_, id, fields, std::size(fields), &provider),
            "response");
}

nghttp2_ssize Session::produce(int32_t id, uint8_t* out, size_t size, uint32_t* flags) {
    Stream* stream = find(id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t part = std::min(size, stream->out.size() - stream->out_at);
    std::memcpy(out, stream->out.data() + stream->out_at, part);
    stream->out_at += part;
    if (stream->out_at == stream->out.size()) {
        stream->out.clear();
        stream->out_at = 0;
        if (stream->closing) {
            *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_status(id, stream->code, stream->details, false);
        } else if (part == 0) {
            return NGHTTP2_ERR_DEFERRED;
        }
    }
    return static_cast<nghttp2_ssize>(part);
}

void Session::reply(int32_t id, std::string_view message) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    append_message(message, stream->out);
    stream->answered = true;
    stream->closing = true;
    begin_response(id, *stream);
}

void Session::send(int32_t id, std::string_view message) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    append_message(message, stream->out);
    if (stream->responding) {
        nghttp2_session_resume_data(session_, id);
    } else {
        begin_response(id, *stream);
    }
}

void Session::finish(int32_t id, int code, std::string_view details) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->answered) return;
    stream->answered = true;
    stream->in.clear();
    if (!stream->responding) return submit_status(id, code, details, true);
    stream->closing = true;
    stream->code = code;
    stream->details = details;
    nghttp2_session_resume_data(session_, id);
}

void Session::submit_status(int32_t id, int code, std::string_view details, bool trailers_only) {
    std::string number = std::to_string(code);
    std::string message = encoded(details);
    std::vector<nghttp2_nv> fields;
    if (trailers_only) {
        fields.push_back(field(":status", "200"));
        fields.push_back(field("content-type", "application/grpc"));
    }
    fields.push_back(field("grpc-status", number));
    if (!message.empty()) fields.push_back(field("grpc-message", message));
    int done = trailers_only
                   ? nghttp2_submit_response2(session_, id, fields.data(), fields.size(), nullptr)
                   : nghttp2_submit_trailer(session_, id, fields.data(), fields.size());
    require(done, "status");
}

// Answers what is no gRPC call in plain HTTP.
void Session::refuse(int32_t id, const char* http_status) {
    Stream* stream = find(id);
    stream->answered = true;
    const nghttp2_nv fields[] = {field(":status", http_status)};
    require(nghttp2_submit_response2(session_, id, fields, std::size(fields), nullptr), "refusal");
}

void Session::consumed(int32_t id, size_t size) {
    Stream* stream = find(id);
    if (stream != nullptr) consume(id, *stream, size + kPrefixBytes);
}

void Session::consume(int32_t id, Stream& stream, size_t size) {
    size = std::min(size, stream.unread);
    stream.unread -= size;
    nghttp2_session_consume_stream(session_, id, size);
}

std::string_view Session::header(int32_t id, std::string_view name) const {
    auto found = streams_.find(id);
    if (found == streams_.end()) return {};
    for (const auto& [key, value] : found->second.headers)
        if (key == name) return value;
    return {};
}

void Session::go_away() {
    require(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(session_),
                                  NGHTTP2_NO_ERROR, nullptr, 0),
            "goaway");
}

}  // namespace weft
