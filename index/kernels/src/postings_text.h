// Cuts ASCII text into terms, exactly as index/tokenizer.py does; other text is Python's business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// The numbers are those of `TOKENIZATION_CODES` in index/inverted/delta.py.
enum class Tokenization : uint8_t {
    word = 0,
    lowercase = 1,
    whitespace = 2,
    field = 3,
    trigram = 4
};

// False for control characters that Unicode's and Python's idea of white space differ about.
bool is_plain_ascii(std::string_view text);

bool is_ascii_space(char byte);
bool is_ascii_alphanumeric(char byte);
char ascii_lower(char byte);

namespace detail {

template <class OnTerm>
void cut_words(std::string_view text, std::string& scratch, const OnTerm& on_term) {
    for (size_t at = 0; at < text.size();) {
        while (at < text.size() && !is_ascii_alphanumeric(text[at])) ++at;
        scratch.clear();
        while (at < text.size() && is_ascii_alphanumeric(text[at]))
            scratch.push_back(ascii_lower(text[at++]));
        if (!scratch.empty()) on_term(std::string_view(scratch));
    }
}

template <class OnTerm>
void cut_spaces(std::string_view text, bool lower, std::string& scratch, const OnTerm& on_term) {
    for (size_t at = 0; at < text.size();) {
        while (at < text.size() && is_ascii_space(text[at])) ++at;
        scratch.clear();
        for (; at < text.size() && !is_ascii_space(text[at]); ++at)
            scratch.push_back(lower ? ascii_lower(text[at]) : text[at]);
        if (!scratch.empty()) on_term(std::string_view(scratch));
    }
}

template <class OnTerm>
void cut_field(std::string_view text, const OnTerm& on_term) {
    size_t first = 0, end = text.size();
    while (first < end && is_ascii_space(text[first])) ++first;
    while (end > first && is_ascii_space(text[end - 1])) --end;
    if (end > first) on_term(text.substr(first, end - first));
}

template <class OnTerm>
void cut_trigrams(std::string_view text, std::string& scratch, const OnTerm& on_term) {
    scratch.clear();
    for (char byte : text)
        if (is_ascii_alphanumeric(byte)) scratch.push_back(ascii_lower(byte));
    for (size_t at = 0; at + 3 <= scratch.size(); ++at)
        on_term(std::string_view(scratch).substr(at, 3));
}

}  // namespace detail

// Calls `on_term` with each term in order. `scratch` is memory to reuse.
template <class OnTerm>
void cut_text(Tokenization how, std::string_view text, std::string& scratch,
              const OnTerm& on_term) {
    switch (how) {
        case Tokenization::word: return detail::cut_words(text, scratch, on_term);
        case Tokenization::lowercase: return detail::cut_spaces(text, true, scratch, on_term);
        case Tokenization::whitespace: return detail::cut_spaces(text, false, scratch, on_term);
        case Tokenization::field: return detail::cut_field(text, on_term);
        case Tokenization::trigram: return detail::cut_trigrams(text, scratch, on_term);
    }
}

}  // namespace weft
