// The one native extension of WeftDB. Each noun binds itself in its own file.
#include "bindings.h"

namespace nb = nanobind;

NB_MODULE(_native, m) {
    m.doc() = "Element loops of WeftDB: distances, graph, postings, property bytes.";
    weft::bind_distance(m);
    weft::bind_vector_index(m);
    weft::bind_search_pool(m);
    weft::bind_postings(m);
    weft::bind_bm25(m);
}
