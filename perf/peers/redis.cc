// Redis: messages appended to a list, over a Unix socket, kept in its append-only file.
//
// Used at its best: a client that spins; commands in pipelines, over several connections where
// there are many (it reads 16 KiB of each a turn and a turn shares one sync, so a single connection
// would have it sync after every 50 messages); no snapshots, no rewriting. RPUSH is the cheapest
// command that keeps every message in order; a stream (XADD) was no faster.
#include <algorithm>
#include <charconv>
#include <vector>

#include "connection.h"
#include "durable_peers.h"
#include "server.h"

namespace loopline::perf {
namespace {

constexpr const char* socket_name = "redis.sock";
// In flight on one connection. See README.md for what others gave.
constexpr uint32_t pipeline_max = 64;

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

class Redis final : public Keeper {
 public:
  Redis(Server server, std::vector<Connection> connections, const Load& load)
      : server_(std::move(server)),
        connections_(std::move(connections)),
        answered_(connections_.size()),
        prefix_("*3\r\n" + bulk("RPUSH") + bulk("log") + "$" + std::to_string(load.message_bytes) +
                "\r\n") {}

  Status submit(std::span<const std::byte> message) override {
    Connection& connection = connections_[submitted_++ % connections_.size()];
    connection.put(prefix_);
    connection.put({reinterpret_cast<const char*>(message.data()), message.size()});
    connection.put("\r\n");
    return ok();
  }

  Result<uint64_t> wait(uint64_t known) override {
    for (Connection& connection : connections_) LL_TRY_STATUS(connection.send());
    while (true) {
      LL_TRY_STATUS(spin_for_any(connections_));
      for (size_t index = 0; index < connections_.size(); ++index) {
        LL_TRY_STATUS(take_answers(index));
      }
      const uint64_t count = acknowledged();
      if (count > known) return count;
    }
  }

  std::string version() override {
    const auto info = ask({"INFO", "server"});
    if (!info || info->empty()) return "unknown";
    constexpr std::string_view field = "redis_version:";
    const std::string& text = info->front();
    const size_t begin = text.find(field);
    if (begin == std::string::npos) return "unknown";
    return text.substr(begin + field.size(), text.find('\r', begin) - begin - field.size());
  }

  Result<std::string> settings() override {
    LL_TRY(sync, ask({"CONFIG", "GET", "appendfsync"}));
    LL_TRY(appends, ask({"CONFIG", "GET", "appendonly"}));
    if (sync.size() != 2 || appends.size() != 2) return server_.trouble("hides its settings");
    return "RPUSH, appendonly " + appends[1] + ", appendfsync " + sync[1] + ", Unix socket, " +
           std::to_string(connections_.size()) +
           (connections_.size() == 1 ? " connection" : " connections");
  }

  pid_t server() const override { return server_.pid(); }

  // One command, when nothing else is in flight; the strings it answers.
  Result<std::vector<std::string>> ask(const std::vector<std::string>& words) {
    Connection& connection = connections_[0];
    connection.put("*" + std::to_string(words.size()) + "\r\n");
    for (const std::string& word : words) connection.put(bulk(word));
    LL_TRY_STATUS(connection.send());
    LL_TRY(head, line_of(connection));
    std::vector<std::string> answers;
    if (head[0] != '*') {
      LL_TRY(answer, rest_of(connection, head));
      answers.push_back(std::move(answer));
      return answers;
    }
    LL_TRY(count, number_in(head));
    while (answers.size() < count) {
      LL_TRY(next, line_of(connection));
      LL_TRY(answer, rest_of(connection, next));
      answers.push_back(std::move(answer));
    }
    return answers;
  }

 private:
  static Result<uint64_t> number_in(const std::string& head) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(head.data() + 1, head.data() + head.size(), number);
    if (error == std::errc() && end == head.data() + head.size()) return number;
    return Fault(FaultCode::corrupted, "Redis answered \"" + head + "\"");
  }

  Result<std::string> line_of(Connection& connection) {
    std::string line;
    while (!connection.take_line(line)) LL_TRY_STATUS(connection.wait());
    if (line.empty()) return Fault(FaultCode::corrupted, "Redis answered an empty line");
    return line;
  }

  // What an answer that begins with `head` says.
  Result<std::string> rest_of(Connection& connection, const std::string& head) {
    if (head[0] != '$') return head.substr(1);
    LL_TRY(size, number_in(head));
    while (connection.received().size() < size + 2) LL_TRY_STATUS(connection.wait());
    std::string text(connection.received().substr(0, size));
    connection.take(size + 2);
    return text;
  }

  // Each is ":LENGTH"; anything else is an error in words.
  Status take_answers(size_t index) {
    LL_TRY_STATUS(connections_[index].receive());
    while (connections_[index].take_line(line_)) {
      if (line_.empty() || line_[0] != ':') return server_.trouble("answered \"" + line_ + "\"");
      ++answered_[index];
    }
    return ok();
  }

  // Message n went to connection n modulo their count: the first unanswered one of each is known.
  uint64_t acknowledged() const {
    uint64_t first = submitted_;
    for (size_t index = 0; index < answered_.size(); ++index) {
      first = std::min(first, answered_[index] * answered_.size() + index);
    }
    return first;
  }

  Server server_;
  std::vector<Connection> connections_;
  std::vector<uint64_t> answered_;
  std::string prefix_;  // of a command, up to the message
  std::string line_;
  uint64_t submitted_ = 0;
};

}  // namespace

Result<std::unique_ptr<Keeper>> start_redis(const std::string& folder, const Load& load,
                                            RedisSync sync) {
  const std::string appendfsync = sync == RedisSync::always ? "always" : "everysec";
  LL_TRY(server, Server::start({"redis-server", "--port", "0", "--unixsocket", socket_name,
                                "--unixsocketperm", "700", "--appendonly", "yes", "--appendfsync",
                                appendfsync, "--save", "", "--auto-aof-rewrite-percentage", "0",
                                "--daemonize", "no", "--logfile", ""},
                               folder));
  std::vector<Connection> connections;
  const size_t count = (load.in_flight + pipeline_max - 1) / pipeline_max;
  LL_TRY_STATUS(server.wait_until("it listened", [&] {
    while (connections.size() < count) {
      auto connection = Connection::to_socket(folder, socket_name);
      if (!connection) return false;
      connections.push_back(std::move(*connection));
    }
    return true;
  }));
  auto redis = std::make_unique<Redis>(std::move(server), std::move(connections), load);
  LL_TRY(settings, redis->settings());
  if (settings.find("appendonly yes, appendfsync " + appendfsync) == std::string::npos) {
    return Fault(FaultCode::unsupported, "Redis did not take its settings, but has " + settings);
  }
  return std::unique_ptr<Keeper>(std::move(redis));
}

}  // namespace loopline::perf
