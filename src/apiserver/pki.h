#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

namespace carrick::apiserver {

struct KeyPair {
  std::string certificate_pem, key_pem;
};

// X.509 by OpenSSL: ECDSA P-256, SHA-256, valid from an hour ago (clocks differ) for ten years.
Result<KeyPair> make_authority(std::string_view common_name);

struct ServerNames {
  std::vector<std::string> dns;
  std::vector<net::IpAddress> addresses;
};
Result<KeyPair> make_server_certificate(const KeyPair& authority, const ServerNames& names);
// The common name is the user, organizations are its groups.
Result<KeyPair> make_client_certificate(const KeyPair& authority, std::string_view user,
                                        const std::vector<std::string>& groups);

// A key that signs, PEM, P-256.
Result<std::string> make_signing_key();

// All that a server needs.
struct Credentials {
  KeyPair authority, server, admin;
  std::string admin_token;  // bearer token with the rights of the admin certificate
  std::string token_key;    // signs tokens of service accounts: PEM, P-256
};
Result<Credentials> make_credentials(const ServerNames& names);
// Kept in `directory` (files 0600) from the first start on; an empty one keeps nothing.
Result<Credentials> load_or_make_credentials(const std::string& directory, const ServerNames& names);

// Writes `text` with mode 0600, by a new file and a rename, so that no reader sees half of it.
Result<void> write_private_file(const std::string& path, std::string_view text);

}  // namespace carrick::apiserver
