#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "apiserver/apiserver.h"
#include "base/fd.h"
#include "base/timestamp.h"

// A container's log on disk, as container runtimes write it, a line each:
//   2026-01-02T15:04:05.000000000Z stdout F text
// P instead of F: the line goes on with the next of its stream. Pure but for LogWriter's file.
namespace carrick::lab {

class LogWriter {
 public:
  static constexpr size_t kMaxLine = 16u << 10;
  static constexpr int64_t kMaxFile = 10 << 20;  // then it becomes PATH.old, and a new one begins

  static Result<LogWriter> open(const std::string& path);
  void write(bool err, std::string_view bytes, Timestamp now);
  void finish(Timestamp now);  // what has no line end yet

 private:
  explicit LogWriter(std::string path) : path_(std::move(path)) {}
  void write_line(bool err, char tag, std::string_view text, Timestamp now);
  Result<void> reopen();

  std::string path_;
  Fd file_;
  int64_t size_ = 0;
  std::string partial_[2];
};

// From log lines to what `kubectl logs` shows.
class LogFilter {
 public:
  LogFilter(const apiserver::LogOptions& options, Timestamp now);
  // Bytes of the file, in order and in any pieces.
  std::string take(std::string_view bytes);
  bool finished() const { return left_ == 0; }  // limitBytes is reached

 private:
  void take_line(std::string_view line, std::string& out);

  bool timestamps_;
  Timestamp since_;
  int64_t left_ = -1;  // bytes that may still come; -1: no limit
  bool in_line_[2] = {};
  std::string rest_;
};

// Where the last `lines` lines of a log begin.
size_t tail_offset(std::string_view log, int64_t lines);

}  // namespace carrick::lab
