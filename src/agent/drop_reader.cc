#include "agent/drop_reader.h"

#include <fcntl.h>

#include "base/log.h"

namespace carrick::agent {

namespace asio = boost::asio;
using boost::system::error_code;

struct DropReader::Shared : std::enable_shared_from_this<DropReader::Shared> {
  Shared(asio::io_context& io, kernel::Programs& programs_, std::function<void(const drop_event&)> sink_)
      : programs(programs_), sink(std::move(sink_)), ready(io), timer(io) {}

  void wait() {
    ready.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](error_code error) {
      if (!error && !self->stopped) self->read();
    });
  }

  void read() {
    auto count = programs.read_events(sink, kBatch);
    if (!count) return log::error("drop events: {}", count.error().message);  // the counters go on
    if (*count == 0) return wait();
    timer.expires_after(*count == kBatch ? kLongPause : kPause);
    timer.async_wait([self = shared_from_this()](error_code error) {
      if (!error && !self->stopped) self->read();
    });
  }

  kernel::Programs& programs;
  std::function<void(const drop_event&)> sink;
  asio::posix::stream_descriptor ready;
  asio::steady_timer timer;
  bool stopped = false;
};

DropReader::DropReader(asio::io_context& io, kernel::Programs& programs, std::function<void(const drop_event&)> sink)
    : shared_(std::make_shared<Shared>(io, programs, std::move(sink))) {
  const int own = ::fcntl(programs.event_fd(), F_DUPFD_CLOEXEC, 3);
  error_code error;
  if (own >= 0) (void)shared_->ready.assign(own, error);
  if (own < 0 || error)
    log::error("drop events cannot be waited for; the counters have them");
  else
    shared_->read();
}

DropReader::~DropReader() {
  shared_->stopped = true;
  error_code ignored;
  (void)shared_->ready.close(ignored);
  shared_->timer.cancel();
}

}  // namespace carrick::agent
