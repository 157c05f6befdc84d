// The sources of a merge, and the merge.
#include "segment_merge.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace weft {
namespace {

class RunSource : public PostingSource {
  public:
    explicit RunSource(std::shared_ptr<const Run> run) : run_(std::move(run)) {}

    bool next() override { return ++at_ <= run_->key_count(); }
    std::string_view key() const override { return run_->key(at_ - 1); }
    void append_to(Columns& out) override {
        ColumnsView view = run_->columns(at_ - 1);
        out.docs.insert(out.docs.end(), view.docs, view.docs + view.count);
        if (view.frequencies == nullptr) return;
        out.frequencies.insert(out.frequencies.end(), view.frequencies,
                               view.frequencies + view.count);
        out.lengths.insert(out.lengths.end(), view.lengths, view.lengths + view.count);
    }

  private:
    std::shared_ptr<const Run> run_;
    size_t at_ = 0;
};

class BlocksSource : public PostingSource {
  public:
    BlocksSource(const std::vector<std::string_view>& blocks, bool is_scored)
        : blocks_(blocks), directory_(block(0)), is_scored_(is_scored) {}

    bool next() override {
        while (true) {
            if (cursor_ && cursor_->next()) return true;
            if (at_ == directory_.count()) return false;
            cursor_ = std::make_unique<EntryCursor>(block(directory_.block(at_++)));
            if (cursor_->is_scored() != is_scored_) throw Damaged("a block is of the other side");
        }
    }
    std::string_view key() const override { return cursor_->entry().key; }
    void append_to(Columns& out) override {
        const Entry& entry = cursor_->entry();
        if (!entry.is_overflow) return decode_body(entry.form, entry.docs, entry.body, out);
        std::string body;
        for (uint32_t at = 0; at < entry.overflow_blocks(); ++at) {
            BlockView part = open_block(block(entry.first_block + at));
            if (part.kind != BlockKind::overflow) throw Damaged("no overflow block");
            body += part.payload;
        }
        if (body.size() != entry.size) throw Damaged("overflow blocks have the wrong size");
        decode_body(entry.form, entry.docs, body, out);
    }

  private:
    std::string_view block(uint32_t number) const {
        if (number >= blocks_.size()) throw Damaged("a block number is too large");
        return blocks_[number];
    }

    std::vector<std::string_view> blocks_;
    Directory directory_;
    bool is_scored_;
    size_t at_ = 0;
    std::unique_ptr<EntryCursor> cursor_;
};

bool is_ascending(const std::vector<uint32_t>& docs) {
    for (size_t at = 1; at < docs.size(); ++at)
        if (docs[at - 1] >= docs[at]) return false;
    return true;
}

// Sources that overlap: order by doc; of a doc that is there twice the later source wins.
void sort_columns(Columns& columns) {
    std::vector<size_t> order(columns.docs.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t left, size_t right) {
        return columns.docs[left] < columns.docs[right];
    });
    Columns sorted;
    bool is_scored = !columns.lengths.empty();
    for (size_t at = 0; at < order.size(); ++at) {
        bool is_last =
            at + 1 == order.size() || columns.docs[order[at]] != columns.docs[order[at + 1]];
        if (!is_last) continue;
        sorted.docs.push_back(columns.docs[order[at]]);
        if (!is_scored) continue;
        sorted.frequencies.push_back(columns.frequencies[order[at]]);
        sorted.lengths.push_back(columns.lengths[order[at]]);
    }
    columns = std::move(sorted);
}

void drop_dead(const std::vector<uint64_t>& dead, Columns& columns) {
    bool is_scored = !columns.lengths.empty();
    size_t kept = 0;
    for (size_t at = 0; at < columns.docs.size(); ++at) {
        uint32_t doc = columns.docs[at];
        if (doc / 64 < dead.size() && (dead[doc / 64] >> (doc % 64) & 1)) continue;
        columns.docs[kept] = doc;
        if (is_scored) {
            columns.frequencies[kept] = columns.frequencies[at];
            columns.lengths[kept] = columns.lengths[at];
        }
        ++kept;
    }
    columns.docs.resize(kept);
    if (!is_scored) return;
    columns.frequencies.resize(kept);
    columns.lengths.resize(kept);
}

}  // namespace

std::unique_ptr<PostingSource> source_of_run(std::shared_ptr<const Run> run) {
    return std::make_unique<RunSource>(std::move(run));
}

std::unique_ptr<PostingSource> source_of_blocks(const std::vector<std::string_view>& blocks,
                                                bool is_scored) {
    return std::make_unique<BlocksSource>(blocks, is_scored);
}

void merge_postings(std::vector<std::unique_ptr<PostingSource>>& sources, const DocBits& dead,
                    PostingSink& sink) {
    auto later = [&](size_t left, size_t right) {
        int order = sources[left]->key().compare(sources[right]->key());
        return order != 0 ? order > 0 : left > right;
    };
    std::priority_queue<size_t, std::vector<size_t>, decltype(later)> queue(later);
    for (size_t at = 0; at < sources.size(); ++at)
        if (sources[at]->next()) queue.push(at);
    Columns columns;
    std::string key;
    while (!queue.empty()) {
        key = sources[queue.top()]->key();
        columns.clear();
        while (!queue.empty() && sources[queue.top()]->key() == key) {
            size_t source = queue.top();
            queue.pop();
            sources[source]->append_to(columns);
            if (sources[source]->next()) queue.push(source);
        }
        if (!is_ascending(columns.docs)) sort_columns(columns);
        if (!dead.words().empty()) drop_dead(dead.words(), columns);
        sink.add(key, {columns.docs.data(), columns.frequencies.data(), columns.lengths.data(),
                       columns.docs.size()});
    }
}

}  // namespace weft
