// Iceoryx: zero-copy publish and subscribe through Eclipse iceoryx, the nearest relative we have.
//
// Used at its best: untyped publisher and subscriber (loan, write in place, publish; take, read in
// place, release), chunks of exactly the sizes measured, its longest queue, a subscriber that is
// polled where the bench spins and a WaitSet where it sleeps. A full queue blocks the producer:
// the default throws the oldest message away, and every message counts here.
//
// All of it is in this one file, because its headers take seconds to compile. Its daemon is in
// "roudi.h".
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/internal/runtime/posh_runtime_impl.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_versions.hpp>

#include "peer_names.h"
#include "peers.h"
#include "perf/harness/loops.h"
#include "roudi.h"

namespace loopline::perf {
namespace {

using Text = iox::capro::IdString_t;

Text text(const std::string& from) { return Text(iox::cxx::TruncateToCapacity, from); }

// This process's connection to RouDi. iceoryx keeps its own for ever and says goodbye at exit(),
// which our children skip: RouDi would take them for dead a second and a half later. This one says
// goodbye with the last endpoint.
class Runtime : public iox::runtime::PoshRuntimeImpl {
 public:
  static std::shared_ptr<Runtime> of_this_process() {
    static std::weak_ptr<Runtime> kept;
    std::shared_ptr<Runtime> runtime = kept.lock();
    if (!runtime) {
      iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
          iox::log::LogLevel::kError, iox::log::LogLevelOutput::kHideLogLevel);
      runtime.reset(new Runtime(
          iox::RuntimeName_t(iox::cxx::TruncateToCapacity, roudi_client_name(::getpid()))));
      kept = runtime;
      current_ = runtime.get();
      setRuntimeFactory(factory);
    }
    return runtime;
  }

 private:
  explicit Runtime(const iox::RuntimeName_t& name)
      : PoshRuntimeImpl(iox::cxx::make_optional<const iox::RuntimeName_t*>(&name)) {}

  static PoshRuntime& factory(iox::cxx::optional<const iox::RuntimeName_t*>) { return *current_; }

  static inline Runtime* current_ = nullptr;
};

class Iceoryx {
  using Waiter = iox::popo::WaitSet<1>;

 public:
  static constexpr const char* name = "iceoryx";
  static constexpr bool sleeps = true;
  static std::string version() { return ICEORYX_LATEST_RELEASE_VERSION; }

  static Result<std::unique_ptr<Iceoryx>> make(const Shape& shape) {
    LL_TRY_STATUS(start_roudi());
    return std::unique_ptr<Iceoryx>(new Iceoryx(unique_name(), shape.receiver_sleeps));
  }

  class Sender {
   public:
    explicit Sender(const iox::capro::ServiceDescription& service)
        : runtime_(Runtime::of_this_process()) {
      iox::popo::PublisherOptions options;
      options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
      publisher_ = std::make_unique<iox::popo::UntypedPublisher>(service, options);
    }

    template <class Fill>
    void send(size_t size, Fill&& fill) {
      if (!is_connected_) [[unlikely]]
        connect();
      auto chunk = publisher_->loan(static_cast<uint32_t>(size));
      if (chunk.has_error()) [[unlikely]]
        return;  // the receiver counts what is missing
      fill(static_cast<std::byte*>(chunk.value()));
      publisher_->publish(chunk.value());
    }

   private:
    // What is published before RouDi has connected the two is lost.
    void connect() {
      Backoff backoff;
      while (!publisher_->hasSubscribers()) backoff.wait();
      is_connected_ = true;
    }

    std::shared_ptr<Runtime> runtime_;
    std::unique_ptr<iox::popo::UntypedPublisher> publisher_;
    bool is_connected_ = false;
  };

  class Receiver {
   public:
    Receiver(const iox::capro::ServiceDescription& service, bool sleeps)
        : runtime_(Runtime::of_this_process()) {
      iox::popo::SubscriberOptions options;  // its queue is the longest already: 256
      options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
      subscriber_ = std::make_unique<iox::popo::UntypedSubscriber>(service, options);
      if (!sleeps) return;  // a sender would ring for nobody
      waiter_ = std::make_unique<Waiter>();
      // It can fail only for a second subscriber, or for one that is attached already.
      (void)waiter_->attachState(*subscriber_, iox::popo::SubscriberState::HAS_DATA);
    }

    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      size_t count = 0;
      while (count < max) {
        auto chunk = subscriber_->take();
        if (chunk.has_error()) break;
        const void* payload = chunk.value();
        const auto* header = iox::mepoo::ChunkHeader::fromUserPayload(payload);
        handle(static_cast<const std::byte*>(payload), header->userPayloadSize());
        subscriber_->release(payload);
        ++count;
      }
      return count;
    }

    void sleep(uint64_t timeout_ns) {
      waiter_->timedWait(iox::units::Duration::fromNanoseconds(timeout_ns));
    }

   private:
    std::shared_ptr<Runtime> runtime_;
    std::unique_ptr<iox::popo::UntypedSubscriber> subscriber_;
    std::unique_ptr<Waiter> waiter_;
  };

  Result<Sender> sender() { return Sender(service()); }
  Result<Receiver> receiver() { return Receiver(service(), receiver_sleeps_); }

 private:
  Iceoryx(std::string topic, bool receiver_sleeps)
      : topic_(std::move(topic)), receiver_sleeps_(receiver_sleeps) {}

  iox::capro::ServiceDescription service() const {
    return {text("loopline"), text("bench"), text(topic_)};
  }

  std::string topic_;
  bool receiver_sleeps_;
};

}  // namespace

void add_iceoryx(Cases& cases) { add_message_cases<Iceoryx>(cases); }

}  // namespace loopline::perf
