// Manifest: two blocks, read for the newer one, written one after the other.
#include "manifest.h"

#include <cstring>

#include "paths.h"

namespace loopline::io {
namespace {

constexpr uint64_t blocks_bytes = 2 * block_size;

Status write_block(DiskFile& file, Manifest& manifest) {
  ++manifest.counter;
  manifest.magic = manifest_magic;
  manifest.version = log_version;
  seal_bytes(manifest);
  AlignedBytes block(block_size);
  std::memcpy(block.data(), &manifest, sizeof manifest);
  LL_TRY_STATUS(file.write(manifest.counter % 2 * block_size, block.span()));
  return file.sync();
}

Result<std::unique_ptr<DiskFile>> open_or_create(Disk& disk, const std::string& log_folder) {
  const std::string path = manifest_path(log_folder);
  auto file = disk.open(path, DiskAccess::write);
  if (file || file.fault().code() != FaultCode::not_found) return file;
  LL_TRY(made, disk.open(path, DiskAccess::create));
  LL_TRY_STATUS(made->allocate(blocks_bytes));
  LL_TRY_STATUS(made->sync());
  LL_TRY_STATUS(disk.sync_folder(log_folder));
  return std::move(made);
}

}  // namespace

Result<ManifestFound> load_manifest(Disk& disk, const std::string& log_folder) {
  LL_TRY(file, disk.open(manifest_path(log_folder), DiskAccess::read));
  AlignedBytes blocks(blocks_bytes);
  LL_TRY(got, file->read(0, blocks.span()));
  ManifestFound found;
  for (uint64_t index = 0; index < 2; ++index) {
    const uint64_t end = (index + 1) * block_size;
    std::string why = "it is too short";
    std::optional<Manifest> manifest;
    if (got >= end)
      manifest = read_manifest(blocks.span().subspan(end - block_size, block_size), why);
    if (!manifest) {
      found.is_damaged = true;
      found.why = why;
      continue;
    }
    if (!found.manifest || manifest->counter > found.manifest->counter) found.manifest = manifest;
  }
  if (!found.manifest && found.why.starts_with("it is of version")) {
    return Fault(FaultCode::version_mismatch, file->path() + " cannot be used: " + found.why);
  }
  return found;
}

Status store_manifest(Disk& disk, const std::string& log_folder, Manifest& manifest) {
  LL_TRY(file, open_or_create(disk, log_folder));
  LL_TRY_STATUS(write_block(*file, manifest));
  return write_block(*file, manifest);
}

}  // namespace loopline::io
