#include "lab/pods/container_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace carrick::lab {
namespace {

struct Line {
  Timestamp time;
  std::string_view stamp, text;
  bool err = false, whole = true;
};

std::optional<Line> parse_line(std::string_view text) {
  const auto word = [&] {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view out = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return out;
  };
  Line line;
  line.stamp = word();
  const auto time = parse_timestamp(line.stamp);
  if (!time) return std::nullopt;
  line.time = *time;
  line.err = word() == "stderr";
  line.whole = word() != "P";
  line.text = text;
  return line;
}

bool before(const Timestamp& a, const Timestamp& b) {
  return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanos < b.nanos;
}

}  // namespace

Result<LogWriter> LogWriter::open(const std::string& path) {
  LogWriter writer(path);
  TRY_VOID(writer.reopen());
  return writer;
}

Result<void> LogWriter::reopen() {
  file_ = Fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file_) return fail_errno(errno, path_);
  struct stat status{};
  size_ = ::fstat(file_.get(), &status) == 0 ? status.st_size : 0;
  return {};
}

void LogWriter::write_line(bool err, char tag, std::string_view text, Timestamp now) {
  if (size_ > kMaxFile) {
    (void)std::rename(path_.c_str(), (path_ + ".old").c_str());
    (void)reopen();
  }
  const std::string line = fmt::format("{} {} {} {}\n", timestamp_text(now, 9).value_or("1970-01-01T00:00:00Z"),
                                       err ? "stderr" : "stdout", tag, text);
  // One write a line: lines of several writers do not mix. A full disk loses the line, not the program.
  if (::write(file_.get(), line.data(), line.size()) > 0) size_ += static_cast<int64_t>(line.size());
}

void LogWriter::write(bool err, std::string_view bytes, Timestamp now) {
  std::string& partial = partial_[err];
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, std::min(end, kMaxLine - partial.size()));
    const bool ends = piece.size() == end;
    partial += piece;
    bytes.remove_prefix(piece.size() + ends);
    if (!ends && partial.size() < kMaxLine) return;
    write_line(err, ends ? 'F' : 'P', partial, now);
    partial.clear();
  }
}

void LogWriter::finish(Timestamp now) {
  for (const bool err : {false, true})
    if (!partial_[err].empty()) write_line(err, 'P', std::exchange(partial_[err], {}), now);
}

LogFilter::LogFilter(const apiserver::LogOptions& options, Timestamp now)
    : timestamps_(options.timestamps), left_(options.limit_bytes.value_or(-1)) {
  if (options.since_seconds) since_ = {now.seconds - *options.since_seconds, now.nanos};
  if (const auto since = parse_timestamp(options.since_time)) since_ = *since;
}

std::string LogFilter::take(std::string_view bytes) {
  std::string out;
  while (!finished() && !bytes.empty()) {
    const size_t end = bytes.find('\n');
    rest_ += bytes.substr(0, end);
    if (end == bytes.npos) break;
    bytes.remove_prefix(end + 1);
    take_line(std::exchange(rest_, {}), out);
  }
  return out;
}

void LogFilter::take_line(std::string_view text, std::string& out) {
  const auto line = parse_line(text);
  if (!line || before(line->time, since_)) return;
  std::string shown;
  if (timestamps_ && !in_line_[line->err]) shown = std::string(line->stamp) + " ";
  shown += line->text;
  if (line->whole) shown += '\n';
  in_line_[line->err] = !line->whole;
  if (left_ >= 0) {
    shown.resize(std::min<size_t>(shown.size(), static_cast<size_t>(left_)));
    left_ -= static_cast<int64_t>(shown.size());
  }
  out += shown;
}

size_t tail_offset(std::string_view log, int64_t lines) {
  if (lines <= 0) return log.size();
  // Parts of a line belong to the end that follows them; parts at the very end are a line too.
  int64_t found = 0;
  for (size_t end = log.size(); end > 0;) {
    const size_t begin = end < 2 ? 0 : log.rfind('\n', end - 2) + 1;  // npos + 1 is 0
    const auto line = parse_line(log.substr(begin, end - begin - (log[end - 1] == '\n')));
    if (line && (line->whole || end == log.size()) && ++found > lines) return end;
    end = begin;
  }
  return 0;
}

}  // namespace carrick::lab
