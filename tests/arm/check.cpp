// What `make check-arm` runs under an emulator: NEON's distances and sums over sketches beside the
// portable ones, and an index that is filled, searched, coded, saved and loaded. Prints what
// differs; 1 then.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>

#include "distance.h"
#include "sketches.h"
#include "vector_index.h"

namespace {

using namespace weft;

int failures = 0;

void expect(bool holds, const char* what, double given, double wanted) {
    if (holds) return;
    std::printf("%s: %g instead of %g\n", what, given, wanted);
    ++failures;
}

std::vector<float> values(size_t count, std::mt19937& random) {
    std::normal_distribution<float> normal;
    std::vector<float> out(count);
    for (float& value : out) value = normal(random);
    return out;
}

void check_distances() {
    std::mt19937 random(7);
    constexpr size_t kRows = 9;
    for (uint32_t metric = 0; metric < kMetricCount; ++metric) {
        const Distance& neon = distance_for(Metric(metric), Simd::neon);
        const Distance& portable = distance_for(Metric(metric), Simd::portable);
        for (size_t dimensions = 1; dimensions <= 130; ++dimensions) {
            std::vector<float> query = values(dimensions, random);
            std::vector<float> rows = values(kRows * dimensions, random);
            rows[0] = query[0];  // for hamming
            const float* places[kRows];
            for (size_t row = 0; row < kRows; ++row) places[row] = rows.data() + row * dimensions;
            float many[kRows];
            neon.many(query.data(), places, kRows, dimensions, many);
            for (size_t row = 0; row < kRows; ++row) {
                const float one = neon.one(query.data(), places[row], dimensions);
                const float wanted = portable.one(query.data(), places[row], dimensions);
                const double room = 1e-4 * (1.0 + std::fabs(double(wanted)));
                expect(std::fabs(one - wanted) <= room, "one", one, wanted);
                expect(std::fabs(many[row] - wanted) <= room, "many", many[row], wanted);
            }
        }
    }
}

void check_sketches() {
    constexpr size_t kRuns = 3;
    constexpr size_t kRows = kRuns * kSketchRun;
    std::mt19937 random(5);
    for (uint32_t dimensions : {64u, 128u, 200u, 256u, 768u, 1500u}) {
        const std::vector<float> rows = values((kRows + 1) * dimensions, random);
        const std::vector<float> mean(dimensions, 0.1f);
        std::vector<uint32_t> slots[2];
        std::vector<float> promises[2];
        for (int side = 0; side < 2; ++side) {
            Sketches sketches(Metric::dot, mean, kRows, side == 0 ? Simd::neon : Simd::portable);
            slots[side].resize(kRows + 16);
            promises[side].resize(2 * kRows + 16);
            SketchQuestion question;
            const float* query = rows.data() + kRows * dimensions;
            expect(sketches.ask(query, question), "asked", 0, 1);
            for (uint32_t first = 0; first < kRows; first += uint32_t(kSketchRun)) {
                const float* places[kSketchRun];
                uint32_t docs[kSketchRun];
                for (uint32_t at = 0; at < kSketchRun; ++at) {
                    places[at] = rows.data() + size_t(first + at) * dimensions;
                    docs[at] = first + at;
                }
                sketches.append_run(places, docs);
                const size_t kept =
                    sketches.promise_run(question, first, ~uint64_t{0}, -1e30f,
                                         slots[side].data() + first, promises[side].data() + first);
                expect(kept == kSketchRun, "kept of a run", double(kept), kSketchRun);
            }
            sketches.promise_finely(question, slots[side].data(), kRows,
                                    promises[side].data() + kRows);
        }
        for (size_t at = 0; at < 2 * kRows; ++at) {
            const double wanted = promises[1][at];
            const double room = 1e-3 * (1.0 + std::fabs(wanted));
            expect(std::fabs(promises[0][at] - wanted) <= room, "promise", promises[0][at], wanted);
        }
    }
}

void check_search(const VectorIndex& index, const std::vector<float>& rows, uint32_t dimensions) {
    for (uint32_t doc : {0u, 700u, 1999u}) {
        SearchRequest request;
        request.query = rows.data() + size_t(doc) * dimensions;
        request.dimensions = dimensions;
        request.k = 3;
        request.ef = 100;
        const Found found = index.search(request);
        expect(found.docs.size() == 3, "results", double(found.docs.size()), 3);
        if (!found.docs.empty()) expect(found.docs[0] == doc, "nearest", found.docs[0], doc);
    }
}

void check_index(CodeKind kind) {
    constexpr uint32_t kDocs = 2000;
    constexpr uint32_t kDimensions = 40;
    std::mt19937 random(11);
    const std::vector<float> rows = values(size_t{kDocs} * kDimensions, random);
    std::vector<uint32_t> docs(kDocs);
    for (uint32_t doc = 0; doc < kDocs; ++doc) docs[doc] = doc;
    const std::vector<uint64_t> words(kDocs / 64 + 1, ~uint64_t{0});
    IndexSettings settings;
    settings.graph.metric = Metric::l2_squared;
    CodeSettings codes;
    codes.kind = kind;
    codes.centroids = 16;
    codes.training_limit = 1000;
    codes.rescore_limit = 100;
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / "weft-check-arm";
    std::filesystem::create_directories(folder);
    const std::string path = (folder / "graph").string();
    for (int life = 0; life < 2; ++life) {
        auto index = std::make_shared<VectorIndex>(settings);
        index->set_codes(codes);
        if (life == 0)
            index->add(docs.data(), rows.data(), kDocs, kDimensions);
        else
            index->load(path, AllowWords{words.data(), words.size(), 0});
        expect(index->wait_indexed(600), "linked", double(index->pending()), 0);
        expect(index->codes() != nullptr, "codes", 0, 1);
        check_search(*index, rows, kDimensions);
        if (life == 0) index->save(path);
        expect(index->code_file_fault().empty(), index->code_file_fault().c_str(), 1, 0);
        index->close();
    }
    std::filesystem::remove_all(folder);
}

}  // namespace

int main() {
    if (simds_of_this_cpu().front() != Simd::neon) {
        std::printf("this CPU has no NEON\n");
        return 1;
    }
    check_distances();
    check_sketches();
    for (CodeKind kind :
         {CodeKind::rotational, CodeKind::scalar, CodeKind::binary, CodeKind::product})
        check_index(kind);
    std::printf(failures == 0 ? "NEON and the index agree\n" : "%d differences\n", failures);
    return failures == 0 ? 0 : 1;
}
