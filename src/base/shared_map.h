#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

namespace carrick {

// Ordered map whose copy costs nothing and shares everything with its origin until one of them is changed; a change
// copies a few dozen pointers. So a published state, the state before it and the one that is being made next to it cost
// one state and their differences, and diff() finds those without looking at the rest. A copy may be read by another
// thread.
//
// The interface is that of std::map; values are changed by operator[] and insert_or_assign only. References to values
// live as long as any copy has them; what operator[] gives must not be kept over a copy.
template <class K, class V>
class SharedMap {
  template <class T>
  class Ref;
  struct Node;
  struct Chunk;
  struct Root;

 public:
  using key_type = K;
  using mapped_type = V;
  using value_type = std::pair<const K, V>;

  // One row apart from the map, sharing its memory.
  class Entry {
   public:
    const value_type& operator*() const { return node_->value; }
    const value_type* operator->() const { return &node_->value; }
    bool operator==(const Entry& other) const { return node_ == other.node_ || **this == *other; }

   private:
    friend SharedMap;
    explicit Entry(Ref<Node> node) : node_(std::move(node)) {}
    Ref<Node> node_;
  };

  class const_iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = SharedMap::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;
    const_iterator() = default;
    reference operator*() const { return node()->value; }
    pointer operator->() const { return &node()->value; }
    Entry entry() const { return Entry(node()); }
    const_iterator& operator++() {
      if (++index_ == root_->chunks[chunk_]->nodes.size()) ++chunk_, index_ = 0;
      return *this;
    }
    const_iterator operator++(int) {
      auto old = *this;
      ++*this;
      return old;
    }
    const_iterator& operator--() {
      if (index_ == 0) index_ = root_->chunks[--chunk_]->nodes.size();
      --index_;
      return *this;
    }
    const_iterator operator--(int) {
      auto old = *this;
      --*this;
      return old;
    }
    bool operator==(const const_iterator& other) const { return chunk_ == other.chunk_ && index_ == other.index_; }

   private:
    friend SharedMap;
    const_iterator(const Root* root, size_t chunk, size_t index) : root_(root), chunk_(chunk), index_(index) {}
    const Ref<Node>& node() const { return root_->chunks[chunk_]->nodes[index_]; }
    const Root* root_ = nullptr;
    size_t chunk_ = 0, index_ = 0;
  };
  using iterator = const_iterator;

  SharedMap() = default;
  SharedMap(std::initializer_list<value_type> rows) {
    for (const auto& [key, value] : rows) emplace(key, value);
  }

  size_t size() const { return root_ ? root_->size : 0; }
  bool empty() const { return size() == 0; }
  void clear() { root_ = {}; }
  const_iterator begin() const { return {root_.get(), 0, 0}; }
  const_iterator end() const { return {root_.get(), root_ ? root_->chunks.size() : 0, 0}; }

  const_iterator lower_bound(const K& key) const {
    Place at = place(key);
    if (root_ && at.chunk < root_->chunks.size() && at.index == root_->chunks[at.chunk]->nodes.size())
      at = {at.chunk + 1, 0, false};
    return {root_.get(), at.chunk, at.index};
  }
  const_iterator find(const K& key) const {
    const Place at = place(key);
    return at.found ? const_iterator(root_.get(), at.chunk, at.index) : end();
  }
  bool contains(const K& key) const { return place(key).found; }
  const V& at(const K& key) const {
    const Place where = place(key);
    if (!where.found) throw std::out_of_range("SharedMap::at");
    return node_at(where)->value.second;
  }

  V& operator[](const K& key) {
    const Place at = place(key);
    if (!at.found) return insert(at, make_node(key, V()))->value.second;
    Ref<Node>& node = own_chunk(at.chunk).nodes[at.index];
    if (!node.unique()) node = make_node(node->value.first, node->value.second);
    return node->value.second;
  }
  template <class... Args>
  std::pair<const_iterator, bool> emplace(const K& key, Args&&... args) {
    const Place at = place(key);
    if (at.found) return {{root_.get(), at.chunk, at.index}, false};
    insert(at, make_node(key, std::forward<Args>(args)...));
    return {find(key), true};
  }
  template <class... Args>
  const_iterator emplace_hint(const_iterator, const K& key, Args&&... args) {
    return emplace(key, std::forward<Args>(args)...).first;
  }
  template <class T>
  void insert_or_assign(const K& key, T&& value) {
    put(place(key), make_node(key, std::forward<T>(value)));
  }
  void insert_or_assign(const Entry& entry) { put(place(entry->first), entry.node_); }
  // What is there already stays.
  void merge(const SharedMap& other) {
    for (auto it = other.begin(); it != other.end(); ++it)
      if (const Place at = place(it->first); !at.found) insert(at, it.node());
  }

  size_t erase(const K& key) {
    const Place at = place(key);
    if (at.found) remove(at);
    return at.found;
  }
  void erase(const_iterator at) { remove({at.chunk_, at.index_, true}); }

  bool operator==(const SharedMap& other) const {
    if (size() != other.size()) return false;
    return walk(*this, other, [](const Ref<Node>* a, const Ref<Node>* b) {
      return a && b && (*a == *b || (*a)->value.second == (*b)->value.second);
    });
  }

  // Calls visit(before, after) with pointers to the rows of each key whose value differs, in order of keys; null where
  // there is none.
  template <class Visit>
  static void diff(const SharedMap& before, const SharedMap& after, Visit visit) {
    walk(before, after, [&](const Ref<Node>* a, const Ref<Node>* b) {
      if (!a || !b || (*a != *b && !((*a)->value.second == (*b)->value.second)))
        visit(a ? &(*a)->value : nullptr, b ? &(*b)->value : nullptr);
      return true;
    });
  }

 private:
  static constexpr size_t kFull = 64, kThin = 16;

  struct Counted {
    std::atomic<uint32_t> refs{0};
  };
  template <class T>
  class Ref {
   public:
    Ref() = default;
    explicit Ref(T* fresh) : to_(fresh) { fresh->refs.store(1, std::memory_order_relaxed); }
    Ref(const Ref& other) : to_(other.to_) {
      if (to_) to_->refs.fetch_add(1, std::memory_order_relaxed);
    }
    Ref(Ref&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
    Ref& operator=(Ref other) noexcept {
      std::swap(to_, other.to_);
      return *this;
    }
    ~Ref() {
      if (to_ && to_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete to_;
    }
    T* get() const { return to_; }
    T* operator->() const { return to_; }
    explicit operator bool() const { return to_ != nullptr; }
    bool unique() const { return to_->refs.load(std::memory_order_acquire) == 1; }
    bool operator==(const Ref& other) const { return to_ == other.to_; }

   private:
    T* to_ = nullptr;
  };
  struct Node : Counted {
    template <class... Args>
    explicit Node(const K& key, Args&&... args)
        : value(std::piecewise_construct, std::forward_as_tuple(key),
                std::forward_as_tuple(std::forward<Args>(args)...)) {}
    value_type value;
  };
  struct Chunk : Counted {
    std::vector<Ref<Node>> nodes;  // never empty, at most kFull
    const K& first() const { return nodes.front()->value.first; }
  };
  struct Root : Counted {
    std::vector<Ref<Chunk>> chunks;
    size_t size = 0;
  };
  struct Place {
    size_t chunk = 0, index = 0;
    bool found = false;  // else: where it belongs
  };

  template <class... Args>
  static Ref<Node> make_node(const K& key, Args&&... args) {
    return Ref<Node>(new Node(key, std::forward<Args>(args)...));
  }

  Place place(const K& key) const {
    if (!root_ || root_->chunks.empty()) return {};
    const auto& chunks = root_->chunks;
    auto behind = std::upper_bound(chunks.begin(), chunks.end(), key,
                                   [](const K& k, const Ref<Chunk>& chunk) { return k < chunk->first(); });
    if (behind == chunks.begin()) return {};
    const auto& nodes = (*--behind)->nodes;
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), key,
                                     [](const Ref<Node>& node, const K& k) { return node->value.first < k; });
    return {static_cast<size_t>(behind - chunks.begin()), static_cast<size_t>(at - nodes.begin()),
            at != nodes.end() && !(key < (*at)->value.first)};
  }
  const Ref<Node>& node_at(const Place& at) const { return root_->chunks[at.chunk]->nodes[at.index]; }

  Root& own_root() {
    if (!root_) {
      root_ = Ref<Root>(new Root);
    } else if (!root_.unique()) {
      auto* copy = new Root;
      copy->chunks = root_->chunks;
      copy->size = root_->size;
      root_ = Ref<Root>(copy);
    }
    return *root_.get();
  }
  Chunk& own_chunk(size_t index) {
    Ref<Chunk>& chunk = own_root().chunks[index];
    if (!chunk.unique()) {
      auto* copy = new Chunk;
      copy->nodes = chunk->nodes;
      chunk = Ref<Chunk>(copy);
    }
    return *chunk.get();
  }

  void put(const Place& at, Ref<Node> node) {
    if (at.found)
      own_chunk(at.chunk).nodes[at.index] = std::move(node);
    else
      insert(at, std::move(node));
  }

  Node* insert(Place at, Ref<Node> node) {
    Root& root = own_root();
    Node* out = node.get();
    ++root.size;
    if (root.chunks.empty()) root.chunks.push_back(Ref<Chunk>(new Chunk));
    if (root.chunks[at.chunk]->nodes.size() == kFull) {
      auto* fresh = new Chunk;
      root.chunks.insert(root.chunks.begin() + static_cast<std::ptrdiff_t>(at.chunk) + 1, Ref<Chunk>(fresh));
      // Rows that come in order fill their chunks; others split them in the middle.
      const bool appended = at.index == kFull && at.chunk + 2 == root.chunks.size();
      const size_t kept = appended ? kFull : kFull / 2;
      auto& nodes = own_chunk(at.chunk).nodes;
      fresh->nodes.assign(nodes.begin() + static_cast<std::ptrdiff_t>(kept), nodes.end());
      nodes.resize(kept);
      if (at.index > kept || appended) at = {at.chunk + 1, at.index - kept, false};
    }
    auto& nodes = own_chunk(at.chunk).nodes;
    nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(at.index), std::move(node));
    return out;
  }

  void remove(const Place& at) {
    auto& nodes = own_chunk(at.chunk).nodes;
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(at.index));
    auto& chunks = root_->chunks;
    if (--root_->size == 0) return clear();
    const auto place_of = [&](size_t index) { return chunks.begin() + static_cast<std::ptrdiff_t>(index); };
    if (nodes.empty()) {
      chunks.erase(place_of(at.chunk));
    } else if (nodes.size() < kThin && at.chunk + 1 < chunks.size() &&
               nodes.size() + chunks[at.chunk + 1]->nodes.size() <= kFull / 2) {
      const auto& next = chunks[at.chunk + 1]->nodes;
      nodes.insert(nodes.end(), next.begin(), next.end());
      chunks.erase(place_of(at.chunk + 1));
    }
  }

  // Both in step, without what they share; ends when visit gives false.
  template <class Visit>
  static bool walk(const SharedMap& a, const SharedMap& b, Visit visit) {
    if (a.root_ == b.root_) return true;
    auto at = a.begin(), bt = b.begin();
    const auto a_end = a.end(), b_end = b.end();
    while (at != a_end || bt != b_end) {
      const bool has_a = at != a_end, has_b = bt != b_end;
      if (has_a && has_b && at.index_ == 0 && bt.index_ == 0 &&
          at.root_->chunks[at.chunk_] == bt.root_->chunks[bt.chunk_]) {
        ++at.chunk_;
        ++bt.chunk_;
        continue;
      }
      const bool a_first = has_a && (!has_b || at->first < bt->first);
      const bool b_first = !a_first && has_b && (!has_a || bt->first < at->first);
      if (!visit(b_first ? nullptr : &at.node(), a_first ? nullptr : &bt.node())) return false;
      if (!b_first) ++at;
      if (!a_first) ++bt;
    }
    return true;
  }

  Ref<Root> root_;
};

}  // namespace carrick
