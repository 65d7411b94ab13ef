// Connection: a stream socket to a server, with what goes out and what came in, in one buffer each.
//
//   connection.put("PING\r\n");  connection.send();
//   while (!connection.take_line(line)) connection.receive(deadline_ns);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/base/result.h"

namespace loopline::perf {

class Connection {
 public:
  // To the socket `name` in `folder`, however long the folder's path is.
  static Result<Connection> to_socket(const std::string& folder, const std::string& name);
  static Result<Connection> to_port(uint16_t port);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&&) = delete;
  ~Connection();

  int fd() const { return fd_; }
  // Adds to what the next send() sends.
  void put(std::string_view bytes) { out_.append(bytes); }
  Status send();
  // Takes in what has arrived; false: nothing has. Faults: closed.
  Result<bool> receive();
  // Waits until something arrives and takes it in. Faults: timed_out, closed.
  Status wait();

  // What came in and was not taken yet.
  std::string_view received() const { return std::string_view(in_).substr(taken_); }
  void take(size_t bytes) { taken_ += bytes; }
  // The next line, without its end.
  bool take_line(std::string& line);

 private:
  explicit Connection(int fd) : fd_(fd) {}

  int fd_;
  std::string out_;
  std::string in_;
  size_t taken_ = 0;
};

// Waits, without ever going to sleep, until one of them has something to read. Faults: timed_out.
Status spin_for_any(const std::vector<Connection>& connections);

}  // namespace loopline::perf
