// Broker: keeps an instance's file stations on disk, and frees what the dead hold.
//
//   LL_TRY(log, open_log({}));
//   LL_TRY(broker, Broker::start({.dir = "/run/loopline"}, *log));    or Settings of a file
//   ...                                          stations come and go; nobody waits for us
//   LL_TRY_STATUS(broker->stop());
//
//   caretaker thread ── Keeper ── io::Flusher     which stations; to disk
//        │           └─ Reaper                    what the dead hold
//        └─ StationsWatch                         what changed on disk
//   control thread ──── ControlServer             status, stop, reopen
//
// looplined is this class and a command line; a program may embed it. Never in the path of a
// message. Killed at any moment it leaves nothing to clean up: its lock ends with it, its socket
// refuses, the rings go on until they are full, and the next broker goes on where it was.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "broker_status.h"
#include "control_server.h"
#include "keeper.h"
#include "reaper.h"
#include "settings.h"
#include "sole_broker.h"
#include "stations_watch.h"

namespace loopline::broker {

class Broker {
 public:
  // Opens all stations; those that cannot be are in status(), and tried again. `log` must outlive
  // it. `on_stop` is called, by a thread of the broker's, when it should be stopped: somebody said
  // so by the socket, or its folder is gone. Faults: already_exists (another broker), those of the
  // folder and of the storage.
  static Result<std::unique_ptr<Broker>> start(const Settings& settings, Log& log,
                                               std::function<void()> on_stop = {});
  ~Broker();
  // Brings what is in the rings to disk, for as long as the settings say, and ends. Once.
  Status stop();
  // What failed or could not be opened is opened again at once.
  void reopen();

  BrokerStatus status();
  const shm::InstancePaths& paths() const { return paths_; }
  // Its caretaker has come round lately; what a watchdog wants to know.
  bool is_well() const;

 private:
  Broker(const Settings& settings, shm::InstancePaths paths, SoleBroker sole, Log& log,
         std::function<void()> on_stop)
      : settings_(settings),
        paths_(std::move(paths)),
        sole_(std::move(sole)),
        log_(log),
        on_stop_(std::move(on_stop)) {}
  Status begin(shm::Directory directory);
  Status open_control();
  void keep_control();
  Reply answer(const std::string& request);
  void run();
  void look(bool at_all);
  void reap();
  void wake();
  void note_life();

  Settings settings_;
  shm::InstancePaths paths_;
  std::string data_;
  SoleBroker sole_;
  Log& log_;
  std::function<void()> on_stop_;
  uint64_t started_ns_ = 0;  // UTC
  uint64_t started_monotonic_ns_ = 0;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<Reaper> reaper_;
  std::unique_ptr<StationsWatch> watch_;
  std::unique_ptr<ControlServer> control_;
  shm::File wake_;  // an eventfd
  std::atomic<const char*> state_{"starting"};
  std::atomic<uint64_t> alive_ns_{0};
  std::atomic<uint64_t> reaped_{0};
  std::atomic<bool> is_ending_{false};
  std::atomic<bool> wants_reopen_{false};
  std::string watch_trouble_;  // as told
  std::string control_trouble_;
  std::thread thread_;
};

}  // namespace loopline::broker
