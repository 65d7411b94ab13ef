// NATS: a JetStream stream in files, published to asynchronously over loopback TCP.
//
// Used at its best: one stream of one subject, one connection, as many publishes in flight as the
// load has, each acknowledged by JetStream. An acknowledgement says that the message was written to
// a file, not that the file was synced: 2.9 syncs every two minutes, and its configuration knows no
// sync_interval (2.10 brought it, with `always`). So this row is not one of durable messages.
#include <charconv>
#include <fstream>

#include "connection.h"
#include "durable_peers.h"
#include "server.h"

namespace loopline::perf {
namespace {

constexpr const char* configuration = R"(
host: 127.0.0.1
port: -1
ports_file_dir: "."
jetstream { store_dir: "stream", max_file_store: 64GB, max_memory_store: 64MB }
)";
constexpr const char* stream =
    R"({"name":"log","subjects":["log"],"storage":"file","num_replicas":1})";

// The value of a number or a string in JSON of one level, as the server writes it.
std::string_view field_of(std::string_view json, std::string_view name) {
  const size_t found = json.find("\"" + std::string(name) + "\":");
  if (found == std::string_view::npos) return {};
  std::string_view value = json.substr(found + name.size() + 3);
  if (value.starts_with('"')) {
    value.remove_prefix(1);
    return value.substr(0, value.find('"'));
  }
  return value.substr(0, value.find_first_of(",}"));
}

uint64_t number_in(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

// The port it chose, which it writes to a file once it listens; 0: not yet.
uint16_t port_of(const std::string& folder, pid_t server) {
  std::ifstream file(folder + "/nats-server_" + std::to_string(server) + ".ports");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t colon = text.rfind(':');
  const size_t end = text.rfind('"');
  if (colon == std::string::npos || end == std::string::npos || end < colon) return 0;
  return static_cast<uint16_t>(
      number_in(std::string_view(text).substr(colon + 1, end - colon - 1)));
}

class Nats final : public Keeper {
 public:
  Nats(Server server, Connection connection, const Load& load)
      : server_(std::move(server)),
        connection_(std::move(connection)),
        prefix_("PUB log acks " + std::to_string(load.message_bytes) + "\r\n") {}

  // Says hello and makes the stream.
  Status open() {
    LL_TRY(info, line());
    version_ = field_of(info, "version");
    connection_.put(
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c++\",\"version\":"
        "\"1\",\"protocol\":1}\r\nSUB acks 1\r\n");
    LL_TRY(created, ask("$JS.API.STREAM.CREATE.log", stream));
    if (created.find("\"did_create\":true") != std::string::npos) return ok();
    return server_.trouble("did not make a stream: " + created);
  }

  Status submit(std::span<const std::byte> message) override {
    connection_.put(prefix_);
    connection_.put({reinterpret_cast<const char*>(message.data()), message.size()});
    connection_.put("\r\n");
    return ok();
  }

  Result<uint64_t> wait(uint64_t known) override {
    LL_TRY_STATUS(connection_.send());
    while (acknowledged_ <= known) {
      LL_TRY_STATUS(connection_.wait());
      while (take_message()) {
        // One stream, one publisher: messages are numbered as they were sent.
        if (number_in(field_of(message_, "seq")) != acknowledged_ + 1) {
          return server_.trouble("answered \"" + message_ + "\"");
        }
        ++acknowledged_;
      }
    }
    return acknowledged_;
  }

  std::string version() override { return version_; }

  Result<std::string> settings() override {
    LL_TRY(info, ask("$JS.API.STREAM.INFO.log", ""));
    return "JetStream, " + std::string(field_of(info, "storage")) + " storage, " +
           std::string(field_of(info, "num_replicas")) +
           " replica, synced every 2 minutes (2.9 cannot sync before it acknowledges), TCP";
  }

  pid_t server() const override { return server_.pid(); }

 private:
  Result<std::string> line() {
    std::string text;
    while (!connection_.take_line(text)) LL_TRY_STATUS(connection_.wait());
    return text;
  }

  // One request, when nothing else is in flight.
  Result<std::string> ask(const std::string& subject, const std::string& payload) {
    connection_.put("PUB " + subject + " acks " + std::to_string(payload.size()) + "\r\n" +
                    payload + "\r\n");
    LL_TRY_STATUS(connection_.send());
    while (!take_message()) LL_TRY_STATUS(connection_.wait());
    return message_;
  }

  // MSG SUBJECT ID SIZE, then a payload and an end of line; PING must be answered.
  bool take_message() {
    while (true) {
      const std::string_view received = connection_.received();
      const size_t end = received.find("\r\n");
      if (end == std::string_view::npos) return false;
      const std::string_view head = received.substr(0, end);
      if (!head.starts_with("MSG ")) {
        if (head.starts_with("PING")) connection_.put("PONG\r\n");
        connection_.take(end + 2);
        continue;
      }
      const uint64_t size = number_in(head.substr(head.rfind(' ') + 1));
      if (received.size() < end + 2 + size + 2) return false;
      message_ = received.substr(end + 2, size);
      connection_.take(end + 2 + size + 2);
      return true;
    }
  }

  Server server_;
  Connection connection_;
  std::string prefix_;
  std::string message_;
  std::string version_;
  uint64_t acknowledged_ = 0;
};

}  // namespace

Result<std::unique_ptr<Keeper>> start_nats(const std::string& folder, const Load& load) {
  std::ofstream(folder + "/nats.conf") << configuration;
  LL_TRY(server, Server::start({"nats-server", "--config", "nats.conf"}, folder));
  uint16_t port = 0;
  LL_TRY_STATUS(server.wait_until("it listened", [&] {
    port = port_of(folder, server.pid());
    return port != 0;
  }));
  LL_TRY(connection, Connection::to_port(port));
  auto nats = std::make_unique<Nats>(std::move(server), std::move(connection), load);
  LL_TRY_STATUS(nats->open());
  return std::unique_ptr<Keeper>(std::move(nats));
}

}  // namespace loopline::perf
