// Control: where a broker is spoken to, and the first words of it; see control_server.h.
//
//   FOLDER/broker.sock        Unix stream, 0660: a line to the broker, a line of JSON back
//   v1 status                 {"protocol":1,"version":"0.1.0","pid":4711, ...}: broker_status.h
//   v1 version                {"protocol":1,"version":"0.1.0","pid":4711}
//   v1 reopen                 {"reopening":2}: what failed is opened again
//   v1 stop                   {"stopping":true}; the connection ends when the broker has
//   anything else             {"error":{"code":"invalid_argument","message":"..."}}
//
// `v1` may be left out by people who type. A broker that speaks another protocol says which.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "shm/base/result.h"
#include "shm/file.h"

namespace loopline::broker {

constexpr uint32_t control_protocol = 1;
constexpr size_t request_bytes_max = 256;
constexpr size_t reply_bytes_max = 64u << 20;

std::string control_path(const std::string& folder);

// The address of the socket in a folder, however long its path is: valid while this lives.
class ControlAddress {
 public:
  static Result<ControlAddress> of(const std::string& folder);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return sizeof address_; }
  // Of the socket's file, through the open folder.
  const char* path() const { return address_.sun_path; }

 private:
  shm::File folder_;
  sockaddr_un address_{};
};

std::string json_of_fault(const Fault& fault);

}  // namespace loopline::broker
