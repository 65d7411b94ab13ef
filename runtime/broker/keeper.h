// Keeper: which stations are kept on disk by this broker, from the files in its data folder.
//
//   keeper.look_at_all();                     at the start, and now and then
//   keeper.look_at({"main@orders"});          when the kernel says that something changed there
//
// A station that cannot be opened, or one of its partitions, is named and tried again, later each
// time; the others go on. What a dead broker left needs no care of ours: the log's recovery and the
// ring's watermark say where to go on.
//
// Thread safety: all of it, by any thread; only status() does not wait for a log that is being
// opened.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/flusher.h"
#include "io/log/station_conf.h"
#include "log.h"
#include "shm/directory.h"

namespace loopline::broker {

struct KeeperOptions {
  std::string data;
  io::FlusherOptions flusher;
  std::function<void()> on_step =
      {};  // a station was looked at: it goes on, however many there are
};

// One partition, as people are told about it.
struct KeptLog {
  enum class State { flushing, disk_full, failed, not_open };
  io::FlushStatus facts;  // of one that is not open, its name only
  State state = State::flushing;
  std::string trouble;  // in words, with what to do; empty: there is none
};
const char* text_of(KeptLog::State state);

class Keeper {
 public:
  static Result<std::unique_ptr<Keeper>> start(shm::Directory directory,
                                               const KeeperOptions& options, Log& log);
  ~Keeper();

  void look_at_all();
  void look_at(const std::set<std::string>& station_folders);
  // Those whose time to be tried again has come.
  void try_again();
  // When that is, monotonic; ~0: there is none.
  uint64_t next_try_ns();
  // What failed or is not open is opened again at once; how many stations that is.
  size_t reopen();
  // Brings what is in the rings to disk, within that time, and closes all logs. Once.
  Status stop(uint64_t drain_ns);

  // By station and partition; of a moment ago when a log is being opened right now.
  std::vector<KeptLog> status();
  const std::string& storage_name() const { return flusher_->storage_name(); }
  const std::string& why_not() const { return flusher_->why_not(); }

 private:
  struct Kept {
    shm::StationName name;
    io::StationConf conf;
    std::filesystem::file_time_type conf_time;  // a purge touches the conf
    std::vector<bool> is_open;                  // by partition
    std::map<uint32_t, Fault> troubles;         // of partitions that are not open
    std::optional<Fault> trouble;               // of the station
    uint64_t backoff_ns = 0;
    uint64_t try_again_ns = 0;  // 0: nothing is to be tried
  };
  using Key = std::pair<std::string, uint32_t>;

  Keeper(shm::Directory directory, const KeeperOptions& options, Log& log)
      : directory_(std::move(directory)),
        data_(options.data),
        on_step_(options.on_step),
        log_(log) {}
  void look(const shm::StationName& name);
  void look_for_lost_confs();
  void open_due();
  std::vector<io::FlushSource> missing_of(Kept& kept);
  void note_added(Kept& kept, const io::FlushSource& source, const Status& added);
  void note_opened();
  void reload(const Kept& kept, bool is_edited);
  void close(Kept& kept);
  void complain(Kept& kept, const Fault& fault);
  void try_later(Kept& kept);
  void look_at_logs();
  std::vector<KeptLog> describe();
  std::vector<std::string> folders_there();

  shm::Directory directory_;
  std::string data_;
  std::function<void()> on_step_;
  Log& log_;
  std::timed_mutex mutex_;  // guards what follows
  std::unique_ptr<io::Flusher> flusher_;
  std::map<std::string, Kept> stations_;  // by name
  std::set<std::string> due_;             // to be opened, by name
  std::set<std::string> opened_;          // and not told yet
  std::map<Key, KeptLog::State> told_;
  std::set<std::string> rings_in_memory_;  // paths, known to be of no interest
  std::string folder_trouble_;
  bool is_stopped_ = false;

  std::mutex picture_mutex_;  // guards picture_
  std::vector<KeptLog> picture_;
};

}  // namespace loopline::broker
