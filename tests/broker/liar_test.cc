// BrokerLiars: what clients may write into memory, files and sockets that the broker uses costs
// their own stations at most; it says what it found, and the others' messages are durable as ever.
//
// One round after another, each with its seed: a station with messages, and a client who has lost
// its mind. It writes into rings and ledgers, cuts files short, puts folders, pipes and links in
// the place of files, damages station.conf, factory, logs and spares, and shouts at the socket.
// The broker is a looplined of its own; beside the rounds somebody publishes into two honest
// stations and asks it for its status, all the time: when one of them waits in vain, it hangs.
//
//   LL_LIES_SECONDS=600 broker_test --gtest_filter='BrokerLiars.*'     for longer; LL_LIES_SEED=7
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "broker_fixture.h"
#include "runtime/broker/control_client.h"
#include "tests/sim/random.h"
#include "tests/support/program.h"
#include "tests/support/ring_liar.h"

namespace loopline::broker {
namespace {

namespace fs = std::filesystem;

constexpr auto patience = std::chrono::seconds(40);  // only a hang takes as long
constexpr uint64_t patience_ns = 40'000'000'000;

uint64_t told_by_user(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// An instance with a looplined of its own.
class LyingInstance {
 public:
  ~LyingInstance() {
    if (broker_) (void)broker_->end();
  }
  const std::string& folder() const { return instance_.folder(); }
  const std::string& shm() const { return instance_.paths().shm; }
  std::string data() const { return io::data_folder_of(instance_.paths()); }
  std::string log_file() const { return folder() + "/looplined.log"; }

  void start(bool is_posix) {
    broker_ = std::make_unique<test::Program>(std::vector<std::string>{
        LL_BUILD_BIN_DIR "/looplined", "--dir", folder(), "--set", "look=20ms", "--set",
        "drain=200ms", "--set", "log.file=" + log_file(), "--set",
        is_posix ? "storage=posix" : "storage=auto", "--ready-fd", "1"});
    ASSERT_TRUE(broker_->says("ready\n")) << log();
  }
  // Its exit status. One that was told ends; with what it could not write, it says so by 1.
  int end(int signal) {
    broker_->send(signal);
    const int status = broker_->end().status;
    broker_.reset();
    return status;
  }
  pid_t pid() const { return broker_->pid(); }
  std::string log() const {
    std::ifstream file(log_file());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Result<std::string> ask(const std::string& request) const {
    LL_TRY(client, ControlClient::connect(folder(), monotonic_ns() + patience_ns));
    return client.ask(request);
  }
  // Whether the broker says anything bad of `station`, in its log or its status.
  bool is_reported(const std::string& station) const {
    const auto status = ask("status");
    const std::string open = "{\"station\":\"" + station + "\"";
    for (size_t at = status ? status->find(open) : std::string::npos; at != std::string::npos;
         at = status->find(open, at + 1)) {
      const std::string one = status->substr(at, status->find('}', at) - at);
      if (one.find("\"trouble\":\"\"") == std::string::npos) return true;
    }
    std::ifstream file(log_file());
    for (std::string line; std::getline(file, line);) {
      const bool is_bad =
          line.find(" error ") != std::string::npos || line.find(" warn") != std::string::npos;
      if (is_bad && line.find("\"" + station + "\"") != std::string::npos) return true;
    }
    return false;
  }

 private:
  test::TempInstance instance_;
  std::unique_ptr<test::Program> broker_;
};

// Publishes into honest stations and asks the broker, until it is told to end. It waits for each
// answer; what it could not have within its patience is in trouble().
class Watchman {
 public:
  explicit Watchman(const LyingInstance& instance) : instance_(instance) {}
  ~Watchman() { end(); }
  void begin() {
    is_over_ = false;
    thread_ = std::thread([this] { watch(); });
  }
  void end() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Somebody restarts the broker: who asks meanwhile is not answered.
  void allow_silence(bool is_allowed) { may_be_silent_ = is_allowed; }
  uint64_t rounds() const { return rounds_; }
  std::string trouble() {
    const std::lock_guard guard(mutex_);
    return trouble_;
  }

 private:
  void complain(const std::string& what) {
    const std::lock_guard guard(mutex_);
    if (trouble_.empty()) trouble_ = what;
  }
  void watch() {
    for (const char* const name : {"honest", "other"}) {
      auto station = Station::open(name, instance_.folder());
      auto producer = station ? station->producer() : Result<Producer>(station.fault());
      if (!producer) return complain(producer.fault().message());
      stations_.push_back(std::move(*station));
      producers_.push_back(std::move(*producer));
    }
    while (!is_over_ && trouble().empty()) {
      for (Producer& producer : producers_) publish(producer);
      const bool may_be_silent = may_be_silent_;
      const auto answer = instance_.ask(rounds_ % 8 == 0 ? "status" : "version");
      const bool is_fine = answer && answer->starts_with("{\"protocol\":1");
      if (!is_fine && !may_be_silent && !may_be_silent_) {
        complain("it does not answer: " + (answer ? *answer : answer.fault().message()));
      }
      ++rounds_;
      ::usleep(300);
    }
    producers_.clear();
    stations_.clear();
  }
  void publish(Producer& producer) {
    auto ticket = producer.publish_async("x", {.timeout = patience});
    if (!ticket) return complain("no room: " + ticket.fault().message());
    const Status done = producer.wait(*ticket, Ack::durable, patience);
    if (!done) complain("it is not durable: " + done.fault().message());
  }

  const LyingInstance& instance_;
  std::thread thread_;
  std::atomic<bool> is_over_{false};
  std::atomic<bool> may_be_silent_{false};
  std::atomic<uint64_t> rounds_{0};
  std::mutex mutex_;  // guards trouble_
  std::string trouble_;
  std::vector<Station> stations_;
  std::vector<Producer> producers_;
};

// Puts nonsense in the place of files. Nothing of it touches other stations than the one it is
// about, but for what lies where all of them look.
class FileLiar {
 public:
  explicit FileLiar(sim::Random& random) : random_(random) {}

  void spoil_bytes(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status;
    const uint64_t size = ::fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
    for (uint64_t count = random_.between(1, 20); count > 0; --count) {
      const uint64_t word = random_.coin() ? random_.next() : random_.below(3);
      const uint64_t bytes = random_.between(1, 8);
      (void)!::pwrite(fd, &word, bytes,
                      static_cast<off_t>(random_.below(
                          std::min<uint64_t>(size + 8, random_.coin() ? 8192 : ~0ull))));
    }
    ::close(fd);
  }
  void cut(const std::string& path) {
    const uint64_t lengths[] = {0,        1,     63,        4095,    4096,
                                4097,     8192,  65536,     1 << 20, (1 << 20) + 1,
                                1u << 30, 12288, 1ull << 40};
    const uint64_t length = lengths[random_.below(std::size(lengths))];
    struct stat status;
    const bool is_file = ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (is_file) (void)!::truncate(path.c_str(), static_cast<off_t>(length));
  }
  // Something else, or nothing, under that name.
  void replace(const std::string& path) {
    std::error_code error;
    const bool keeps = random_.coin();
    if (keeps) {
      fs::rename(path, path + "-aside", error);
    } else {
      fs::remove_all(path, error);
    }
    switch (random_.below(8)) {
      case 0:
        fs::create_directory(path, error);
        break;
      case 1:
        ::mkfifo(path.c_str(), 0660);
        break;
      case 2:
        fs::create_symlink("/dev/zero", path, error);
        break;
      case 3:
        fs::create_symlink(path, path, error);
        break;
      case 4:
        if (keeps) fs::create_symlink(path + "-aside", path, error);
        break;
      case 5:
        put(path, nonsense());
        break;
      case 6:
        put(path, "");
        break;
      default:
        break;
    }
  }
  // Over what is there, where that is a file; a pipe would make us wait.
  static void put(const std::string& path, const std::string& text) {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const shm::File file(::open(path.c_str(), flags, 0660));
    if (file.fd() >= 0) (void)!::write(file.fd(), text.data(), text.size());
  }
  std::string nonsense() {
    std::string text;
    for (uint64_t count = random_.below(3000); count > 0; --count) {
      text += static_cast<char>(random_.below(256));
    }
    return text;
  }
  // Lines that a conf might have.
  std::string conf_text() {
    const char* const keys[] = {"uuid",
                                "storage",
                                "ring",
                                "partitions",
                                "segment",
                                "max-message",
                                "flush",
                                "retention.age",
                                "retention.bytes",
                                "when-full",
                                "mode",
                                "owner",
                                "dedup.window",
                                "dedup.entries",
                                "",
                                "retention.messages"};
    const char* const values[] = {"0",
                                  "off",
                                  "64KiB",
                                  "256",
                                  "257",
                                  "-1",
                                  "18446744073709551616",
                                  "1GiB",
                                  "5ms",
                                  "block",
                                  "file",
                                  "",
                                  "\xff\xfe",
                                  "0660",
                                  "root",
                                  "3",
                                  "00000000000000000000000000000001",
                                  "128KiB"};
    std::string text;
    for (uint64_t count = random_.below(12); count > 0; --count) {
      text += std::string(keys[random_.below(std::size(keys))]) +
              (random_.once_in(9) ? "" : " = ") + values[random_.below(std::size(values))] + "\n";
    }
    return text;
  }

 private:
  sim::Random& random_;
};

// A client of one station of factory `liars`.
class Client {
 public:
  Client(const LyingInstance& instance, uint64_t seed)
      : instance_(instance),
        random_(seed),
        files_(random_),
        name_("s" + std::to_string(seed)),
        is_on_disk_(!random_.once_in(4)),
        partitions_(static_cast<uint32_t>(random_.once_in(3) ? random_.between(2, 3) : 1)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    for (const int fd : held_) ::close(fd);
  }
  std::string station() const { return "liars/" + name_; }

  // Honest so far.
  void make() {
    StationOptions options;
    options.storage = is_on_disk_ ? Storage::file : Storage::memory;
    options.ring = 64 << 10;
    options.partitions = partitions_;
    options.dedup_entries = 1024;
    if (is_on_disk_) options.segment = 64 << 10;
    if (is_on_disk_ && random_.coin()) options.retention_messages = 5;
    const Station made = must(Station::create(station(), options, instance_.folder()));
    publish(made, random_.below(40));
    if (random_.once_in(3)) {
      StationOptions other;
      other.ring = 128 << 10;
      (void)Station::edit(station(), other, instance_.folder());
    }
    if (random_.once_in(4)) (void)Station::purge(station(), instance_.folder());
    publish(must(Station::open(station(), instance_.folder())), random_.below(40));
  }

  // All of it, and what is drawn is drawn before the first lie.
  void lie() {
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<test::RingLiar>> liars;
    std::atomic<bool> is_over{false};
    if (random_.once_in(3)) {
      for (const std::string& path : files_of(".ring")) {
        auto mapping = shm::Mapping::attach(path, shm::Access::produce);
        if (!mapping) continue;
        liars.push_back(std::make_unique<test::RingLiar>(std::move(*mapping), random_.next()));
        const uint64_t lies = random_.between(1, 300);
        const bool is_fouled = random_.once_in(5);
        threads.emplace_back([liar = liars.back().get(), lies, is_fouled, &is_over] {
          liar->tell(lies, is_over);
          if (is_fouled) liar->foul_lock();
        });
      }
    }
    for (uint64_t count = random_.between(0, 3); count > 0; --count) lie_in_a_file();
    if (random_.once_in(3)) shout();
    if (random_.once_in(3)) die_beside_it();
    for (std::thread& thread : threads) thread.join();
  }

  // As an administrator would: whatever is there of it goes.
  void clean_up() {
    std::error_code error;
    for (const std::string& path : files_of("")) fs::remove_all(path, error);
    for (const char* litter :
         {"", "-aside", "x0", "x1", "x2", "x0-aside", "x1-aside", "x2-aside"}) {
      fs::remove_all(station_folder() + litter, error);
    }
    fs::remove_all(factory_file(), error);
    fs::remove_all(factory_file() + "-aside", error);
  }

 private:
  std::string station_folder() const {
    return io::station_folder(instance_.data(), {"liars", name_});
  }
  std::string factory_file() const { return instance_.folder() + "/factories/liars.conf"; }
  std::vector<std::string> files_of(const std::string& suffix) const {
    std::vector<std::string> found;
    for (const auto& file : fs::directory_iterator(instance_.shm())) {
      const std::string name = file.path().filename();
      // A folder that was put aside is the folder of a station, too.
      const bool is_ours = name.starts_with("liars@" + name_ + "@") ||
                           name.starts_with("liars@" + name_ + "-aside@");
      const bool is_it = is_ours && name.ends_with(suffix);
      if (is_it) found.push_back(file.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  std::vector<std::string> log_files() const {
    std::vector<std::string> found;
    std::error_code error;
    for (fs::recursive_directory_iterator at(station_folder(), error), end; !error && at != end;
         at.increment(error)) {
      found.push_back(at->path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  std::string one_of(const std::vector<std::string>& paths) {
    return paths.empty() ? "" : paths[random_.below(paths.size())];
  }

  void publish(const Station& station, uint64_t count) {
    ProducerOptions options;
    if (random_.coin()) options = {.identified = true, .id = 7};
    auto producer = must(station.producer(options));
    for (; count > 0; --count) {
      const std::string id = random_.once_in(4) ? std::to_string(random_.below(9)) : "";
      const std::string text(random_.below(900), 'x');
      (void)producer.publish_async(text, {.id = id, .timeout = std::chrono::seconds(0)});
    }
    if (is_on_disk_ && random_.once_in(3)) (void)producer.publish("y", {.timeout = patience});
  }

  void lie_in_a_file() {
    const std::string conf = station_folder() + "/station.conf";
    std::error_code error;
    switch (random_.below(14)) {
      case 0:
        return files_.cut(one_of(files_of(".ring")));
      case 1:
        return files_.replace(one_of(files_of(".ring")));
      case 2:
        return files_.spoil_bytes(one_of(files_of(".ring")));  // its header too
      case 3:
        return files_.cut(one_of(files_of(".ledger")));
      case 4:
        return files_.replace(one_of(files_of(".ledger")));
      case 5:
        return files_.replace(conf);
      case 6:
        fs::create_directories(station_folder(), error);
        files_.put(conf, random_.coin() ? files_.conf_text() : files_.nonsense());
        return;
      case 7:
        return files_.replace(station_folder());
      case 8:
        return files_.replace(one_of(log_files()));
      case 9:
        return files_.cut(one_of(log_files()));
      case 10:
      case 11:
        return files_.spoil_bytes(one_of(log_files()));
      case 12:
        return litter();
      default:
        fs::create_directories(fs::path(factory_file()).parent_path(), error);
        files_.put(factory_file(), files_.conf_text());
        if (random_.coin()) files_.replace(factory_file());
    }
  }
  // Where all stations look.
  void litter() {
    const std::string number = std::to_string(random_.below(3));
    const std::string spares = io::spares_folder(instance_.data());
    std::error_code error;
    fs::create_directories(spares, error);
    const std::string places[] = {
        instance_.shm() + "/liars@" + name_ + "@" + number + "@9.ring",
        instance_.shm() + "/liars@" + name_ + "@1@2@3@4.bell",
        io::stations_folder(instance_.data()) + "/liars@" + name_ + "x" + number,
        io::stations_folder(instance_.data()) + "/\xff@" + number,
        spares + "/65536@" + number + "abc.spare",
        spares + "/" + number,
        instance_.folder() + "/factories/" + number,
        station_folder() + "/" + number,
    };
    const std::string& place = places[random_.below(std::size(places))];
    if (random_.coin()) files_.put(place, files_.nonsense());
    files_.replace(place);
  }

  // At the socket, one way or another; never `stop`.
  void shout() {
    const auto address = ControlAddress::of(instance_.folder());
    for (uint64_t count = random_.between(1, 5); address && count > 0; --count) {
      const shm::File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (::connect(socket.fd(), address->get(), address->size()) != 0) continue;
      std::string text = random_.coin() ? files_.nonsense() : "v1 status\n";
      if (random_.once_in(4)) text = "v" + std::to_string(random_.next()) + " reopen\n";
      if (random_.once_in(4)) text += std::string(70'000, 'x');
      (void)!::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL);
      if (random_.coin()) held_.push_back(::dup(socket.fd()));  // neither speaks nor ends
    }
  }
  // Then the broker looks at all rings.
  void die_beside_it() {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto station = Station::open("honest", instance_.folder());
      auto producer = station->producer();
      auto consumer = station->consumer();
      const auto open = producer->claim(100);
      ::_exit(open ? 0 : 1);  // within its claim
    }
    int status = 0;
    ::waitpid(child, &status, 0);
  }

  const LyingInstance& instance_;
  sim::Random random_;
  FileLiar files_;
  std::string name_;
  bool is_on_disk_;
  uint32_t partitions_;
  std::vector<int> held_;
};

// One instance, its broker, and who watches it.
class BrokerLiars : public testing::Test {
 protected:
  void begin() {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64 << 10;
    options.segment = 64 << 10;
    options.retention_messages = 50;  // spares come and go
    must(Station::create("honest", options, instance_.folder()));
    options.partitions = 2;
    must(Station::create("other", options, instance_.folder()));
    instance_.start(false);
    watchman_.begin();
  }
  // The honest have got on since.
  bool goes_on() {
    const uint64_t before = watchman_.rounds();
    (void)wait_until(
        [&] { return watchman_.rounds() > before + 1 || !watchman_.trouble().empty(); });
    EXPECT_EQ(watchman_.trouble(), "") << instance_.log();
    return watchman_.trouble().empty();
  }
  void restart(bool is_killed, bool is_posix) {
    watchman_.allow_silence(true);
    const int status = instance_.end(is_killed ? SIGKILL : SIGTERM);
    // What it could not write it says by 1.
    EXPECT_TRUE(status == (is_killed ? 128 + SIGKILL : 0) || (status == 1 && !is_killed)) << status;
    instance_.start(is_posix);
    watchman_.allow_silence(false);
  }
  void end() {
    watchman_.end();
    EXPECT_EQ(watchman_.trouble(), "") << instance_.log();
    const int status = instance_.end(SIGTERM);
    EXPECT_TRUE(status == 0 || status == 1) << status << "\n" << instance_.log();
  }

  LyingInstance instance_;
  Watchman watchman_{instance_};
};

TEST_F(BrokerLiars, CostTheirOwnStationsAtMost) {
  begin();
  const uint64_t seconds = told_by_user("LL_LIES_SECONDS", 0);
  const uint64_t until_ns =
      monotonic_ns() + (seconds == 0 ? 3'000'000'000 : seconds * 1'000'000'000);
  uint64_t rounds = 0, reported = 0, restarts = 0;
  for (uint64_t seed = told_by_user("LL_LIES_SEED", 1); monotonic_ns() < until_ns; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Client client(instance_, seed);
    client.make();
    client.lie();
    if (!goes_on()) return;
    if (seed % 10 == 0) {
      restart(seed % 20 == 0, seed % 30 == 0);
      ++restarts;
      if (!goes_on()) return;
    }
    reported += instance_.is_reported(client.station());
    client.clean_up();
    ++rounds;
    if (HasFailure()) return;
  }
  end();
  if (seconds == 0) return;
  std::printf("%lu rounds, %lu stations reported, %lu restarts, %lu rounds of the honest\n", rounds,
              reported, restarts, watchman_.rounds());
}

// A lie a station, each of a kind that leaves the broker no way but to say so.
TEST_F(BrokerLiars, AreNamedEachForWhatTheyDid) {
  using Lie = std::function<void(const std::string& station_folder, const std::string& ring)>;
  const auto put = [](const std::string& path, const std::string& text) {
    fs::remove_all(path);
    (void)(std::ofstream(path) << text);
  };
  const std::map<std::string, Lie> lies{
      {"conf-garbage", [&](auto& folder, auto&) { put(folder + "/station.conf", "garbage"); }},
      {"conf-empty", [&](auto& folder, auto&) { put(folder + "/station.conf", ""); }},
      {"conf-folder",
       [&](auto& folder, auto&) {
         fs::remove(folder + "/station.conf");
         fs::create_directory(folder + "/station.conf");
       }},
      {"conf-pipe",
       [&](auto& folder, auto&) {
         fs::remove(folder + "/station.conf");
         ::mkfifo((folder + "/station.conf").c_str(), 0660);
       }},
      {"conf-link",
       [&](auto& folder, auto&) {
         fs::remove(folder + "/station.conf");
         fs::create_symlink("/dev/zero", folder + "/station.conf");
       }},
      {"conf-gone", [&](auto& folder, auto&) { fs::remove(folder + "/station.conf"); }},
      {"ring-cut", [&](auto&, auto& ring) { fs::resize_file(ring, 0); }},
      {"ring-cut-odd", [&](auto&, auto& ring) { fs::resize_file(ring, 4096 + 17); }},
      {"hint",
       [&](auto&, auto& ring) {
         const auto mapping = must(shm::Mapping::attach(ring, shm::Access::produce));
         const Pair at = mapping.control().hint.pair.load(std::memory_order_acquire);
         mapping.control().hint.pair.store({at.first + 640, at.second + 10},
                                           std::memory_order_release);
       }},
      {"frame",
       [&](auto&, auto& ring) {
         const auto mapping = must(shm::Mapping::attach(ring, shm::Access::produce));
         const Pair at = mapping.control().hint.pair.load(std::memory_order_acquire);
         auto* const words = reinterpret_cast<uint64_t*>(mapping.data() + at.first % (64 << 10));
         words[1] = ~uint64_t{0};
         words[0] = shm::word_tag(at.first);
       }},
  };
  begin();
  for (const auto& [name, lie] : lies) {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64 << 10;
    const Station made = must(Station::create(name, options, instance_.folder()));
    must(must(made.producer()).publish("one"));  // durable: it is kept
  }
  for (const auto& [name, lie] : lies) {
    lie(io::station_folder(instance_.data(), {"main", name}),
        instance_.shm() + "/main@" + name + "@0@1.ring");
  }
  for (const auto& [name, lie] : lies) {
    EXPECT_TRUE(wait_until([&] { return instance_.is_reported("main/" + name); }))
        << name << "\n"
        << instance_.log();
  }
  EXPECT_TRUE(goes_on());
  end();
}

// Spares are everybody's: one that is none ends no log.
TEST_F(BrokerLiars, LitterAmongTheSparesIsNobodysSegment) {
  const std::string spares = io::spares_folder(instance_.data());
  fs::create_directories(spares);
  const std::string begin_of_name = spares + "/65536@";
  (void)(std::ofstream(begin_of_name + "1.spare") << "short");
  fs::create_directory(begin_of_name + "2.spare");
  ::mkfifo((begin_of_name + "3.spare").c_str(), 0660);
  fs::create_symlink("/dev/zero", begin_of_name + "4.spare");
  begin();
  // A dozen commits fill a segment.
  EXPECT_TRUE(wait_until([&] { return watchman_.rounds() > 60 || !watchman_.trouble().empty(); }));
  EXPECT_FALSE(instance_.is_reported("main/honest")) << instance_.log();
  end();
}

// The roster is everybody's: who spoils it ends whoever lives by it, but not the broker.
TEST(BrokerLiarsRoster, IsSpoiledAndCutShortAndTheBrokerGoesOn) {
  constexpr uint64_t entry_bytes = sizeof(shm::RosterEntry);
  LyingInstance instance;
  const auto in_a_child = [&](const auto& work) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work() ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0;
  };
  const auto publish = [&](bool makes) {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64 << 10;
    if (makes && !Station::create("kept", options, instance.folder())) return false;
    const auto station = Station::open("kept", instance.folder());
    auto producer = station ? station->producer() : Result<Producer>(station.fault());
    if (!producer) return false;
    const auto ticket = producer->publish_async("one");
    return ticket && producer->wait(*ticket, Ack::durable, patience);
  };
  instance.start(false);
  ASSERT_TRUE(in_a_child([&] { return publish(true); })) << instance.log();
  const std::string roster = instance.shm() + "/roster";
  {
    // All that is said of people; who holds which lock is the kernel's word, and trusted.
    sim::Random random(told_by_user("LL_LIES_SEED", 1));
    const shm::File file(::open(roster.c_str(), O_WRONLY | O_CLOEXEC));
    for (uint64_t lie = 0; lie < 4000; ++lie) {
      const uint64_t entry = shm::page_size + random.below(shm::roster_entry_count) * entry_bytes;
      const uint64_t from = offsetof(shm::RosterEntry, state);
      const uint64_t at = entry + from + 8 * random.below((entry_bytes - from) / 8);
      const uint64_t word = random.coin() ? random.next() : random.below(4);
      ASSERT_EQ(::pwrite(file.fd(), &word, sizeof word, static_cast<off_t>(at)), 8);
      if (lie % 1000 != 0) continue;
      EXPECT_TRUE(instance.ask("status"));
    }
  }
  EXPECT_TRUE(in_a_child([&] { return publish(false); })) << instance.log();
  for (const off_t size : {4096 + 17, 0}) {
    ASSERT_EQ(::truncate(roster.c_str(), size), 0);
    for (int count = 0; count < 3; ++count) EXPECT_TRUE(instance.ask("status"));
    EXPECT_FALSE(in_a_child([&] { return publish(false); }));
  }
  EXPECT_LE(instance.end(SIGTERM), 1) << instance.log();
  std::error_code error;
  fs::remove_all(instance.shm(), error);  // as a reboot does
  instance.start(false);
  EXPECT_TRUE(in_a_child([&] { return publish(false); })) << instance.log();
  EXPECT_EQ(instance.end(SIGTERM), 0);
}

}  // namespace
}  // namespace loopline::broker
