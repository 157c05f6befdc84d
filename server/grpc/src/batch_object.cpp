// Reads the wire form of a BatchObject.
#include "batch_object.h"

#include <nanobind/nanobind.h>

#include <cstdint>
#include <cstring>

namespace nb = nanobind;

namespace weft {
namespace {

// What this does not read. It never leaves the file.
struct Unknown {};

// Tags: field number << 3 | kind.
constexpr uint64_t kVarint = 0, kEightBytes = 1, kDelimited = 2;
constexpr uint64_t tag_of(uint64_t number, uint64_t kind) {
    return number << 3 | kind;
}
constexpr uint64_t kUuid = tag_of(1, kDelimited), kProperties = tag_of(3, kDelimited),
                   kCollection = tag_of(4, kDelimited), kTenant = tag_of(5, kDelimited),
                   kVectorBytes = tag_of(6, kDelimited), kVectors = tag_of(23, kDelimited);
constexpr uint64_t kPlainProperties = tag_of(1, kDelimited);
constexpr uint64_t kEntry = tag_of(1, kDelimited), kKey = tag_of(1, kDelimited),
                   kValue = tag_of(2, kDelimited), kItem = tag_of(1, kDelimited);
constexpr uint64_t kNull = tag_of(1, kVarint), kNumber = tag_of(2, kEightBytes),
                   kText = tag_of(3, kDelimited), kBool = tag_of(4, kVarint),
                   kStruct = tag_of(5, kDelimited), kList = tag_of(6, kDelimited);
constexpr uint64_t kName = tag_of(1, kDelimited), kBytes = tag_of(3, kDelimited),
                   kType = tag_of(4, kVarint);

class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    bool is_at_end() const { return bytes_.empty(); }

    uint64_t varint() {
        uint64_t number = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<uint8_t>(take(1)[0]);
            number |= uint64_t(byte & 0x7F) << shift;
            if (byte < 0x80) return number;
        }
        throw Unknown();
    }

    std::string_view delimited() { return take(varint()); }

    double number() {
        uint64_t bits = 0;
        const std::string_view raw = take(8);
        for (size_t at = 8; at-- > 0;) bits = bits << 8 | static_cast<uint8_t>(raw[at]);
        double value;
        std::memcpy(&value, &bits, sizeof(value));
        return value;
    }

  private:
    std::string_view take(uint64_t size) {
        if (size > bytes_.size()) throw Unknown();
        std::string_view taken = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return taken;
    }

    std::string_view bytes_;
};

nb::object text_of(std::string_view utf8) {
    PyObject* text =
        PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), nullptr);
    if (text == nullptr) nb::raise_python_error();
    return nb::steal(text);
}

nb::bytes bytes_of(std::string_view bytes) {
    return nb::bytes(bytes.data(), bytes.size());
}

nb::object value_of(std::string_view message);

nb::dict struct_of(std::string_view message) {
    nb::dict values;
    for (Reader entries(message); !entries.is_at_end();) {
        if (entries.varint() != kEntry) throw Unknown();
        std::string_view key, value;
        for (Reader entry(entries.delimited()); !entry.is_at_end();) {
            const uint64_t tag = entry.varint();
            if (tag == kKey)
                key = entry.delimited();
            else if (tag == kValue)
                value = entry.delimited();
            else
                throw Unknown();
        }
        values[text_of(key)] = value_of(value);
    }
    return values;
}

nb::list list_of(std::string_view message) {
    nb::list items;
    for (Reader reader(message); !reader.is_at_end();) {
        if (reader.varint() != kItem) throw Unknown();
        items.append(value_of(reader.delimited()));
    }
    return items;
}

nb::object value_of(std::string_view message) {
    Reader reader(message);
    if (reader.is_at_end()) return nb::none();
    nb::object value = nb::none();
    switch (reader.varint()) {
        case kNull: reader.varint(); break;
        case kNumber: value = nb::float_(reader.number()); break;
        case kText: value = text_of(reader.delimited()); break;
        case kBool: value = nb::bool_(reader.varint() != 0); break;
        case kStruct: value = struct_of(reader.delimited()); break;
        case kList: value = list_of(reader.delimited()); break;
        default: throw Unknown();
    }
    if (!reader.is_at_end()) throw Unknown();
    return value;
}

nb::dict properties_of(std::string_view message) {
    Reader reader(message);
    if (reader.is_at_end()) return nb::dict();
    if (reader.varint() != kPlainProperties) throw Unknown();
    nb::dict values = struct_of(reader.delimited());
    if (!reader.is_at_end()) throw Unknown();
    return values;
}

nb::tuple vector_of(std::string_view message) {
    std::string_view name, bytes;
    uint64_t type = 0;
    for (Reader reader(message); !reader.is_at_end();) switch (reader.varint()) {
            case kName: name = reader.delimited(); break;
            case kBytes: bytes = reader.delimited(); break;
            case kType: type = reader.varint(); break;
            default: throw Unknown();
        }
    return nb::make_tuple(text_of(name), bytes_of(bytes), type);
}

unsigned digit_of(char character) {
    if (character >= '0' && character <= '9') return unsigned(character - '0');
    if (character >= 'a' && character <= 'f') return unsigned(character - 'a' + 10);
    if (character >= 'A' && character <= 'F') return unsigned(character - 'A' + 10);
    throw Unknown();
}

nb::bytes id_of(std::string_view text) {
    constexpr size_t kChars = 36, kIdBytes = 16;
    if (text.size() != kChars) throw Unknown();
    char id[kIdBytes];
    size_t at = 0;
    for (char& byte : id) {
        if (at == 8 || at == 13 || at == 18 || at == 23)
            if (text[at++] != '-') throw Unknown();
        byte = static_cast<char>(digit_of(text[at]) << 4 | digit_of(text[at + 1]));
        at += 2;
    }
    return nb::bytes(id, kIdBytes);
}

}  // namespace

nb::object read_batch_object(std::string_view message) {
    try {
        std::string_view uuid, properties, vector;
        nb::list named;
        for (Reader reader(message); !reader.is_at_end();) switch (reader.varint()) {
                case kUuid: uuid = reader.delimited(); break;
                case kProperties: properties = reader.delimited(); break;
                case kCollection: reader.delimited(); break;
                case kTenant: reader.delimited(); break;
                case kVectorBytes: vector = reader.delimited(); break;
                case kVectors: named.append(vector_of(reader.delimited())); break;
                default: return nb::none();
            }
        return nb::make_tuple(id_of(uuid), properties_of(properties), bytes_of(vector), named);
    } catch (const Unknown&) {
        return nb::none();
    }
}

}  // namespace weft
