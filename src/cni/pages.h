#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace carrick::cni {

// What the socket says to HTTP. Pure: the head of a request in, a whole response out; the connection ends with it.
class Pages {
 public:
  void put(std::string path, std::string content_type, std::function<std::string()> body);
  std::string answer(std::string_view request_head) const;

 private:
  struct Page {
    std::string content_type;
    std::function<std::string()> body;
  };
  std::map<std::string, Page, std::less<>> pages_;
};

}  // namespace carrick::cni
