// The list of everything the extension offers: one function a noun, each defined beside its noun.
#pragma once

#include <nanobind/nanobind.h>

namespace weft {

void bind_codes(nanobind::module_& m);
void bind_bm25(nanobind::module_& m);
void bind_distance(nanobind::module_& m);
void bind_multi_vector(nanobind::module_& m);
void bind_recall_probe(nanobind::module_& m);
void bind_reply(nanobind::module_& m);
void bind_row_tally(nanobind::module_& m);
void bind_search_plan(nanobind::module_& m);
void bind_search_pool(nanobind::module_& m);
void bind_sketches(nanobind::module_& m);
void bind_vector_index(nanobind::module_& m);
void bind_postings(nanobind::module_& m);

}  // namespace weft
