#include "cni/pages.h"

#include <fmt/format.h>

namespace carrick::cni {

void Pages::put(std::string path, std::string content_type, std::function<std::string()> body) {
  pages_[std::move(path)] = {std::move(content_type), std::move(body)};
}

std::string Pages::answer(std::string_view request_head) const {
  const size_t begin = request_head.find(' ') + 1;
  const std::string_view path = request_head.substr(begin, request_head.find_first_of(" ?\r\n", begin) - begin);
  const auto page = pages_.find(path);
  const bool found = page != pages_.end();
  const std::string body = found ? page->second.body() : "404 page not found\n";
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                     found ? "200 OK" : "404 Not Found",
                     found ? page->second.content_type : "text/plain; charset=utf-8", body.size(), body);
}

}  // namespace carrick::cni
