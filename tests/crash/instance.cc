// PrivateInstance: made with mkdtemp in both places, taken away with everything in it.
#include "instance.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace loopline::crash {
namespace {

// Where the folders are made; whoever expects us to crash (tests/support/broken) names a place that
// it clears itself.
std::string folder_template() {
  const char* chosen = std::getenv("LL_CRASH_FOLDER");
  return std::string(chosen == nullptr ? "/dev/shm" : chosen) + "/loopline-crash-XXXXXX";
}
constexpr int remove_tries_max = 100;

// For give_up(), which no destructor survives.
PrivateInstance* only_instance = nullptr;

}  // namespace

void give_up(const std::string& what, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), why.c_str());
  if (only_instance != nullptr) only_instance->~PrivateInstance();
  std::abort();
}

PrivateInstance::PrivateInstance() : root_(folder_template()), owner_(::getpid()) {
  if (::mkdtemp(root_.data()) == nullptr) give_up("cannot make a folder like", root_);
  paths_.folder = root_ + "/instance";
  paths_.shm = root_ + "/rings/main";
  directory_ = need(shm::Directory::open_or_create(paths_), "cannot make an instance");
  only_instance = this;
}

PrivateInstance::~PrivateInstance() {
  if (::getpid() != owner_) return;
  only_instance = nullptr;
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

Result<std::shared_ptr<shm::Attached>> PrivateInstance::attach(const std::string& station,
                                                               shm::Access access) const {
  LL_TRY(mapping, directory_->attach({"main", station}, 0, access));
  LL_TRY(roster, directory_->roster());
  return shm::Attached::make(std::move(mapping), roster, *directory_);
}

std::shared_ptr<shm::Attached> PrivateInstance::create(const shm::RingOptions& options) const {
  auto mapping = need(directory_->create(options), "cannot make a ring");
  return shm::Attached::make(std::move(mapping),
                             need(directory_->roster(), "cannot open the roster"), *directory_);
}

// A ring sealed with a successor stays so: then the successor is the one to seal.
void PrivateInstance::remove(const std::string& station) const {
  for (int count = 0; count < remove_tries_max; ++count) {
    auto attached = attach(station, shm::Access::produce);
    if (!attached && attached.fault().code() == FaultCode::not_found) return;
    if (!attached) give_up("cannot attach to remove", attached.fault().message());
    const Status sealed = (*attached)->seal_for_good();
    if (!sealed) give_up("cannot seal", sealed.fault().message());
    const Status removed = directory_->unlink({"main", station}, 0);
    if (removed) return;
    if (removed.fault().code() != FaultCode::already_exists) {
      give_up("cannot remove", removed.fault().message());
    }
  }
  give_up("cannot remove", station);
}

size_t PrivateInstance::file_count() const {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(paths_.shm)) {
    if (entry.path().filename() != "roster") ++count;
  }
  return count;
}

}  // namespace loopline::crash
