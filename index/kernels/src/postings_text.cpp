// The classes of ASCII characters.
#include "postings_text.h"

#include <array>

namespace weft {
namespace {

struct Classes {
    std::array<bool, 256> space{};
    std::array<bool, 256> alphanumeric{};
    std::array<bool, 256> strange{};
    std::array<char, 256> lower{};
};

constexpr Classes make_classes() {
    Classes classes;
    for (int byte = 0; byte < 256; ++byte) {
        bool upper = byte >= 'A' && byte <= 'Z';
        classes.space[byte] = byte == ' ' || (byte >= '\t' && byte <= '\r');
        classes.alphanumeric[byte] =
            upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        classes.strange[byte] = byte >= 128 || (byte >= 0x1C && byte <= 0x1F);
        classes.lower[byte] = static_cast<char>(upper ? byte + 32 : byte);
    }
    return classes;
}

constexpr Classes kClasses = make_classes();

}  // namespace

bool is_plain_ascii(std::string_view text) {
    bool strange = false;
    for (char byte : text) strange |= kClasses.strange[static_cast<uint8_t>(byte)];
    return !strange;
}

bool is_ascii_space(char byte) {
    return kClasses.space[static_cast<uint8_t>(byte)];
}
bool is_ascii_alphanumeric(char byte) {
    return kClasses.alphanumeric[static_cast<uint8_t>(byte)];
}
char ascii_lower(char byte) {
    return kClasses.lower[static_cast<uint8_t>(byte)];
}

}  // namespace weft
