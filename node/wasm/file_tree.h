// The files of a site as a tree: what a guest sees as "/". It never changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "node/cage/files.h"

namespace orchard::wasm {

class FileTree {
 public:
  static constexpr uint32_t kRoot = 0;
  struct Node {
    std::string_view name, bytes;
    uint32_t parent = kRoot;
    bool directory = true;
    std::vector<uint32_t> entries;  // By name.
  };

  // Files that CheckFiles takes.
  explicit FileTree(cage::FileMap files);
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;

  const Node& at(uint32_t node) const { return nodes_[node]; }
  std::optional<uint32_t> Find(uint32_t directory, std::string_view name) const;

 private:
  // Where it is among the entries, or would be.
  size_t Place(uint32_t directory, std::string_view name) const;
  uint32_t Make(uint32_t directory, std::string_view name);

  const cage::FileMap files_;  // Names and bytes are its.
  std::vector<Node> nodes_;
};

}  // namespace orchard::wasm
