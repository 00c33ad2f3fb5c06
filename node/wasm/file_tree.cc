#include "node/wasm/file_tree.h"

#include <algorithm>
#include <utility>

namespace orchard::wasm {

FileTree::FileTree(cage::FileMap files) : files_(std::move(files)) {
  nodes_.emplace_back();
  for (const auto& [path, bytes] : files_) {
    uint32_t at = kRoot;
    std::string_view rest = path;
    for (size_t slash; (slash = rest.find('/')) != rest.npos; rest.remove_prefix(slash + 1)) at = Make(at, rest.substr(0, slash));
    Node& file = nodes_[Make(at, rest)];
    file.directory = false, file.bytes = bytes;
  }
}

size_t FileTree::Place(uint32_t directory, std::string_view name) const {
  const std::vector<uint32_t>& entries = nodes_[directory].entries;
  return size_t(std::partition_point(entries.begin(), entries.end(), [&](uint32_t n) { return nodes_[n].name < name; }) - entries.begin());
}

std::optional<uint32_t> FileTree::Find(uint32_t directory, std::string_view name) const {
  const std::vector<uint32_t>& entries = nodes_[directory].entries;
  const size_t place = Place(directory, name);
  if (place == entries.size() || nodes_[entries[place]].name != name) return std::nullopt;
  return entries[place];
}

uint32_t FileTree::Make(uint32_t directory, std::string_view name) {
  if (const auto known = Find(directory, name); known.has_value()) return *known;
  const uint32_t made = uint32_t(nodes_.size());
  std::vector<uint32_t>& entries = nodes_[directory].entries;
  entries.insert(entries.begin() + long(Place(directory, name)), made);
  nodes_.push_back({.name = name, .bytes = {}, .parent = directory, .directory = true, .entries = {}});
  return made;
}

}  // namespace orchard::wasm
