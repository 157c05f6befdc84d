// The one native extension of WeftDB. Each noun binds itself in its own file.
#include "bindings.h"

namespace nb = nanobind;

namespace {

constexpr const char* sanitizer() {
#if defined(__SANITIZE_THREAD__)
    return "thread";
#elif defined(__SANITIZE_ADDRESS__)
    return "address";
#else
    return "";
#endif
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Element loops of WeftDB: distances, graph, postings, property bytes.";
    m.attr("SANITIZER") = sanitizer();
    // A process may end with its engines open; that is no leak to report.
    nb::set_leak_warnings(false);
    weft::bind_distance(m);
    weft::bind_vector_index(m);
    weft::bind_multi_vector(m);
    weft::bind_codes(m);
    weft::bind_search_plan(m);
    weft::bind_sketches(m);
    weft::bind_search_pool(m);
    weft::bind_recall_probe(m);
    weft::bind_postings(m);
    weft::bind_bm25(m);
    weft::bind_reply(m);
    weft::bind_row_tally(m);
}
