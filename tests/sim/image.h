// Image: what a simulated disk holds at one moment, cheap to copy, and what tests do to it.
//
// Pages are shared between images until one of them changes a page: a copy of a log of a few
// segments costs about a microsecond.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace loopline::sim {

constexpr uint64_t page_bytes = 4096;
constexpr uint64_t sector_bytes = 512;  // what a disk writes whole or not at all
constexpr uint32_t page_sectors = page_bytes / sector_bytes;
using SectorSet = uint8_t;  // one bit a sector of a page
constexpr SectorSet every_sector = 0xff;

struct Page {
  alignas(64) std::byte bytes[page_bytes];
};
using PageRef = std::shared_ptr<const Page>;  // null: zeros

// What is in a file.
struct Content {
  uint64_t size = 0;
  std::vector<PageRef> pages;

  void grow(uint64_t new_size);
  void read(uint64_t offset, std::span<std::byte> into) const;
  // Those sectors of `page`, the others stay.
  void put(uint64_t page_index, const PageRef& page, SectorSet sectors);
};
using ContentRef = std::shared_ptr<Content>;

// One page a block of `bytes`, zeros behind them.
std::vector<PageRef> pages_of(std::span<const std::byte> bytes);
PageRef garbage_page(uint64_t seed);

// The content to change: a copy first, when others see it too.
Content& own(ContentRef& content);

struct Image {
  std::map<std::string, ContentRef> files;
  std::set<std::string> folders;

  bool has(const std::string& path) const { return files.count(path) != 0; }
  uint64_t size(const std::string& path) const { return files.at(path)->size; }
  std::vector<std::byte> bytes(const std::string& path) const;
  // Made with all folders above it, or replaced.
  void put(const std::string& path, std::span<const std::byte> bytes);
  void overwrite(const std::string& path, uint64_t offset, std::span<const std::byte> bytes);
  void flip(const std::string& path, uint64_t bit);
  void cut(const std::string& path, uint64_t size);
  void rename(const std::string& from, const std::string& to);
  void remove(const std::string& path) { files.erase(path); }
};

}  // namespace loopline::sim
