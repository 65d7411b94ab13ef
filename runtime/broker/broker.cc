// Broker: the caretaker's round, and the order in which things begin and end.
//
// Happens-before edges
//   [state]    what start() made -> who asks for the status meanwhile
//   [ending]   stop() -> the caretaker leaves its loop
//   [reopen]   a request -> the caretaker's next round
#include "broker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "hints.h"
#include "io/log/paths.h"
#include "io/log/posix_disk.h"
#include "shm/base/clock.h"
#include "shm/bus_guard.h"

namespace loopline::broker {
namespace {

constexpr uint64_t reap_every_ns = 1'000'000'000;
// Opening a log that was never closed reads a segment; this is far more.
constexpr uint64_t well_within_ns = 60'000'000'000;

shm::WaitKind wait_of(const std::string& word) {
  if (word == "spin") return shm::WaitKind::spin;
  return word == "park" ? shm::WaitKind::park : shm::WaitKind::adaptive;
}

}  // namespace

Result<std::unique_ptr<Broker>> Broker::start(const Settings& settings, Log& log,
                                              std::function<void()> on_stop) {
  LL_TRY(paths, shm::find_instance(settings.dir));
  LL_TRY(directory, shm::Directory::open_or_create(paths));
  LL_TRY(sole, SoleBroker::take(paths.folder));
  auto broker = std::unique_ptr<Broker>(
      new Broker(settings, paths, std::move(sole), log, std::move(on_stop)));
  const Status begun = broker->begin(std::move(directory));
  if (!begun) return begun.fault();
  return broker;
}

Status Broker::begin(shm::Directory directory) {
  started_ns_ = utc_ns();
  started_monotonic_ns_ = monotonic_ns();
  data_ = io::data_folder_of(paths_);
  wake_ = shm::File(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake_.fd() < 0) return fault_from_errno(errno, "cannot make an eventfd");
  LL_TRY_STATUS(io::posix_disk().make_folder(io::stations_folder(data_)));
  KeeperOptions options;
  options.data = data_;
  options.flusher.storage = settings_.storage;
  options.flusher.wait = wait_of(settings_.wait);
  options.on_step = [this] { note_life(); };
  LL_TRY(keeper, Keeper::start(directory, options, log_));
  keeper_ = std::move(keeper);
  reaper_ = std::make_unique<Reaper>(std::move(directory));
  LL_TRY(watch, StationsWatch::start(io::stations_folder(data_)));
  watch_ = std::make_unique<StationsWatch>(std::move(watch));
  LL_TRY_STATUS(open_control());
  if (!keeper_->why_not().empty()) log_.warning(keeper_->why_not() + "; threads write instead");
  log_.info(std::string("looplined ") + broker_version + " keeps " + paths_.folder + ", data in " +
            data_ + ", by " + keeper_->storage_name());
  look(true);
  state_.store("running", std::memory_order_release);  // release [state]
  thread_ = std::thread([this] { run(); });
  return ok();
}

Status Broker::open_control() {
  LL_TRY(control, ControlServer::start(paths_.folder, [this](const std::string& request) {
           return answer(request);
         }));
  control_ = std::move(control);
  return ok();
}

// A broker that nobody can speak to is not to be stopped either. The caretaker's: it alone changes
// the server between start and stop.
void Broker::keep_control() {
  if (control_->is_there()) return;
  const Status opened = open_control();
  const std::string trouble = opened ? "" : opened.fault().message();
  if (opened)
    log_.warning("somebody removed " + control_path(paths_.folder) + ": it is made again");
  if (!opened && trouble != control_trouble_) log_.error("nobody can speak to it: " + trouble);
  control_trouble_ = trouble;
}

Broker::~Broker() {
  if (thread_.joinable()) (void)stop();
  if (control_ != nullptr) control_->hide();
  sole_.release();
}

// Nobody is told that we ended before the next broker may begin: the lock goes, then connections.
Status Broker::stop() {
  state_.store("stopping", std::memory_order_release);  // release [state]
  is_ending_.store(true, std::memory_order_release);    // release [ending]
  wake();
  thread_.join();
  log_.info("stopping: what is in the rings goes to disk");
  const Status stopped = keeper_->stop(settings_.drain_ns);
  control_->hide();
  log_.info("stopped");
  sole_.release();
  control_.reset();
  return stopped ? ok() : Status(stopped.fault());
}

void Broker::reopen() {
  wants_reopen_.store(true, std::memory_order_release);  // release [reopen]
  wake();
}

// ---- the caretaker ----------------------------------------------------------

void Broker::wake() {
  const uint64_t one = 1;
  (void)!::write(wake_.fd(), &one, sizeof one);
}

void Broker::note_life() {
  alive_ns_.store(monotonic_ns(), std::memory_order_relaxed);  // relaxed: a time, nothing behind it
}

bool Broker::is_well() const {
  const uint64_t seen_ns = alive_ns_.load(std::memory_order_relaxed);  // relaxed: likewise
  return monotonic_ns() - seen_ns < well_within_ns + settings_.look_ns;
}

void Broker::look(bool at_all) {
  const shm::BusGuard guard;
  const auto changes = watch_->take();
  if (at_all || changes.all) {
    watch_->catch_up();  // before looking: what changes then is told by the watch
    if (watch_->trouble() != watch_trouble_ && !watch_->trouble().empty()) {
      log_.warning(watch_->trouble());
    }
    watch_trouble_ = watch_->trouble();
    keeper_->look_at_all();
  } else {
    keeper_->look_at(changes.folders);
  }
  note_life();
}

void Broker::reap() {
  const shm::BusGuard guard;
  const size_t freed = reaper_->look();
  reaped_.fetch_add(freed, std::memory_order_relaxed);  // relaxed: a count for people
  if (freed != 0) log_.debug("freed " + std::to_string(freed) + " rings of processes that died");
}

void Broker::run() {
  shm::guard_this_thread();
  uint64_t next_reap_ns = 0;
  uint64_t next_look_ns = monotonic_ns() + settings_.look_ns;
  while (!is_ending_.load(std::memory_order_acquire)) {  // acquire [ending]
    const uint64_t now_ns = monotonic_ns();
    if (now_ns >= next_reap_ns) {
      next_reap_ns = now_ns + std::min(reap_every_ns, settings_.look_ns);
      reap();
    }
    const uint64_t until_ns = std::min({next_look_ns, keeper_->next_try_ns(), next_reap_ns});
    const uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    pollfd fds[] = {{wake_.fd(), POLLIN, 0}, {watch_->fd(), POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>(wait_ns / 1'000'000 + 1));
    const shm::BusGuard guard;  // rings are files of others
    uint64_t count = 0;
    (void)!::read(wake_.fd(), &count, sizeof count);
    if (is_ending_.load(std::memory_order_acquire)) return;          // acquire [ending]
    if (wants_reopen_.exchange(false, std::memory_order_acq_rel)) {  // acq_rel [reopen]
      keeper_->reopen();
    }
    const bool is_time = monotonic_ns() >= next_look_ns;
    look(is_time);
    keeper_->try_again();
    if (!is_time) continue;
    next_look_ns = monotonic_ns() + settings_.look_ns;
    const bool is_ours = sole_.is_still_there();
    if (is_ours) keep_control();
    if (is_ours || !on_stop_) continue;
    log_.error("the folder " + paths_.folder +
               " was taken away, or its broker.lock: ending, since "
               "another broker may be there");
    on_stop_();
    return;
  }
}

// ---- requests ---------------------------------------------------------------

BrokerStatus Broker::status() {
  BrokerStatus status;
  status.state = state_.load(std::memory_order_acquire);  // acquire [state]
  status.started_ns = started_ns_;
  status.uptime_ns = monotonic_ns() - started_monotonic_ns_;
  status.folder = paths_.folder;
  status.data = data_;
  status.storage = keeper_->storage_name();
  status.storage_note = keeper_->why_not();
  status.log = settings_.log.file;
  status.reaped_rings = reaped_.load(std::memory_order_relaxed);  // relaxed: a count for people
  const uint64_t seen_ns = alive_ns_.load(std::memory_order_relaxed);  // relaxed: a time
  const uint64_t now_ns = monotonic_ns();
  status.last_round_ns = now_ns - std::min(now_ns, std::max(seen_ns, started_monotonic_ns_));
  status.logs = keeper_->status();
  return status;
}

Reply Broker::answer(const std::string& request) {
  const std::vector<std::string> known{"status", "version", "reopen", "stop"};
  std::string word = request;
  const std::string ours = "v" + std::to_string(control_protocol);
  if (word.starts_with("v") && word.size() > 1 && word[1] >= '0' && word[1] <= '9') {
    const std::string theirs = word.substr(0, word.find(' '));
    if (theirs != ours) {
      return {json_of_fault({FaultCode::version_mismatch,
                             "this broker (looplined " + std::string(broker_version) +
                                 ") speaks control protocol " + ours + ", and was spoken to in " +
                                 theirs + "; use the loopline of its own version"})};
    }
    word = word.size() > theirs.size() ? word.substr(theirs.size() + 1) : "";
  }
  if (word == "status") return {json_of(status())};
  if (word == "version") return {json_of_version()};
  if (word == "reopen") {
    reopen();
    return {"{\"reopening\":true}"};
  }
  if (word == "stop") {
    log_.info("told to stop");
    if (on_stop_) on_stop_();
    return {"{\"stopping\":true}", true};
  }
  return {json_of_fault({FaultCode::invalid_argument,
                         "no such request; they are " + joined(known) + near_miss(word, known)})};
}

}  // namespace loopline::broker
