// Image: pages shared, and copied by whoever changes them.
#include "image.h"

#include <algorithm>
#include <cstring>

#include "random.h"
#include "shm/base/check.h"

namespace loopline::sim {

void Content::grow(uint64_t new_size) {
  size = std::max(size, new_size);
  pages.resize((size + page_bytes - 1) / page_bytes);
}

void Content::read(uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const uint64_t within = offset % page_bytes;
    const size_t part = std::min<uint64_t>(into.size(), page_bytes - within);
    const PageRef& page = pages.at(offset / page_bytes);
    if (page) {
      std::memcpy(into.data(), page->bytes + within, part);
    } else {
      std::memset(into.data(), 0, part);
    }
    into = into.subspan(part);
    offset += part;
  }
}

void Content::put(uint64_t page_index, const PageRef& page, SectorSet sectors) {
  PageRef& there = pages.at(page_index);
  if (sectors == every_sector) {
    there = page;
    return;
  }
  if (sectors == 0) return;
  auto mixed = there ? std::make_shared<Page>(*there) : std::make_shared<Page>();
  for (uint32_t sector = 0; sector < page_sectors; ++sector) {
    if ((sectors >> sector & 1) == 0) continue;
    std::byte* const to = mixed->bytes + sector * sector_bytes;
    if (page) {
      std::memcpy(to, page->bytes + sector * sector_bytes, sector_bytes);
    } else {
      std::memset(to, 0, sector_bytes);
    }
  }
  there = std::move(mixed);
}

std::vector<PageRef> pages_of(std::span<const std::byte> bytes) {
  std::vector<PageRef> pages;
  for (uint64_t at = 0; at < bytes.size(); at += page_bytes) {
    auto page = std::make_shared<Page>();
    std::memcpy(page->bytes, bytes.data() + at, std::min(page_bytes, bytes.size() - at));
    pages.push_back(std::move(page));
  }
  return pages;
}

PageRef garbage_page(uint64_t seed) {
  Random random(seed);
  auto page = std::make_shared<Page>();
  for (size_t at = 0; at < page_bytes; at += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(page->bytes + at, &word, sizeof word);
  }
  return page;
}

Content& own(ContentRef& content) {
  if (content.use_count() != 1) content = std::make_shared<Content>(*content);
  return *content;
}

std::vector<std::byte> Image::bytes(const std::string& path) const {
  const ContentRef& content = files.at(path);
  std::vector<std::byte> all(content->size);
  content->read(0, all);
  return all;
}

void Image::put(const std::string& path, std::span<const std::byte> bytes) {
  auto content = std::make_shared<Content>();
  content->size = bytes.size();
  content->pages = pages_of(bytes);
  files[path] = std::move(content);
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    folders.insert(path.substr(0, at));
  }
}

void Image::overwrite(const std::string& path, uint64_t offset, std::span<const std::byte> bytes) {
  Content& content = own(files.at(path));
  LL_CHECK(offset + bytes.size() <= content.size);
  while (!bytes.empty()) {
    const uint64_t within = offset % page_bytes;
    const size_t part = std::min<uint64_t>(bytes.size(), page_bytes - within);
    PageRef& page = content.pages.at(offset / page_bytes);
    auto changed = page ? std::make_shared<Page>(*page) : std::make_shared<Page>();
    std::memcpy(changed->bytes + within, bytes.data(), part);
    page = std::move(changed);
    bytes = bytes.subspan(part);
    offset += part;
  }
}

void Image::flip(const std::string& path, uint64_t bit) {
  std::byte byte{};
  files.at(path)->read(bit / 8, {&byte, 1});
  byte ^= std::byte{1} << (bit % 8);
  overwrite(path, bit / 8, {&byte, 1});
}

void Image::cut(const std::string& path, uint64_t size) {
  Content& content = own(files.at(path));
  content.size = std::min(content.size, size);
  content.pages.resize((content.size + page_bytes - 1) / page_bytes);
}

void Image::rename(const std::string& from, const std::string& to) {
  const ContentRef content = files.at(from);
  files.erase(from);
  files[to] = content;
}

}  // namespace loopline::sim
