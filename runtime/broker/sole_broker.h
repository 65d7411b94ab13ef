// SoleBroker: one broker an instance, by a lock that ends with its process, however that ends.
//
//   FOLDER/broker.lock        the file stays; who holds its lock (F_OFD_SETLK) is the broker, and
//                             its bytes say who that is: "PID VERSION\n", for people
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "shm/base/result.h"
#include "shm/file.h"

namespace loopline::broker {

constexpr const char* broker_version = "0.1.0";

struct BrokerIdentity {
  uint32_t pid = 0;     // 0: its file does not say
  std::string version;  // empty: likewise
};

class SoleBroker {
 public:
  // Faults: already_exists, naming who keeps the folder and what to do; those of the folder.
  static Result<SoleBroker> take(const std::string& folder);
  // Who keeps it, if anybody does; disturbs nobody.
  static Result<std::optional<BrokerIdentity>> look(const std::string& folder);
  // False: the folder or the file was taken away, and another broker may be there.
  bool is_still_there() const;
  // Gives it up; once.
  void release() { file_ = shm::File(); }

 private:
  SoleBroker(shm::File file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  shm::File file_;
  std::string path_;
};

// "process 4711 (looplined 0.1.0)", as far as it is known.
std::string text_of(const BrokerIdentity& identity);

}  // namespace loopline::broker
