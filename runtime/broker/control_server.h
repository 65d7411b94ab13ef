// ControlServer: answers requests of one line, on a thread of its own; see control.h.
//
// Whoever may write the socket may be slow, say nonsense, or nothing at all: each has a deadline, a
// line has a bound, and there is room for some at a time; nobody waits for anybody else.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "control.h"

namespace loopline::broker {

struct Reply {
  std::string json;
  bool holds = false;  // the connection stays until the server ends
};

struct ControlLimits {
  uint64_t client_ns = 5'000'000'000;  // to say its line, and to take the reply
  size_t clients_max = 64;
};

class ControlServer {
 public:
  using Handler = std::function<Reply(const std::string& request)>;

  // For who holds the folder's SoleBroker: a socket that is there is a dead broker's and replaced.
  // Faults: already_exists (something else has that name), those of the folder.
  static Result<std::unique_ptr<ControlServer>> start(const std::string& folder, Handler handler,
                                                      const ControlLimits& limits = {});
  ~ControlServer();
  // Nobody finds it from now on; those who are connected stay.
  void hide();
  // False: somebody took its file away, or put another in its place.
  bool is_there() const;

 private:
  struct Client {
    shm::File socket;
    std::string request;
    std::string reply;
    size_t sent = 0;
    bool has_reply = false;
    bool holds = false;
    uint64_t deadline_ns = 0;
  };
  ControlServer(std::string folder, Handler handler, const ControlLimits& limits)
      : folder_(std::move(folder)), handler_(std::move(handler)), limits_(limits) {}
  Status listen();
  void run();
  void accept_clients();
  // False: it is done with.
  bool serve(Client& client, short events);
  void hear(Client& client);
  void answer(Client& client, const Reply& reply);
  bool send(Client& client);

  std::string folder_;
  Handler handler_;
  ControlLimits limits_;
  shm::File listener_;
  shm::File end_;                    // an eventfd
  uint64_t device_ = 0, inode_ = 0;  // of the socket's file
  std::list<Client> clients_;
  std::thread thread_;
};

}  // namespace loopline::broker
