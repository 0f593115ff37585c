#include "apiserver/pki.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <memory>

namespace carrick::apiserver {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

constexpr long kLifetimeSeconds = 10L * 365 * 24 * 3600;

std::unexpected<Error> openssl_failure(std::string_view what) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  return fail(ErrorKind::kInternal, "{}: {}", what, text);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

struct Subject {
  std::string common_name;
  std::vector<std::string> organizations;
};

struct Request {
  Subject subject;
  std::string basic_constraints, key_usage, extended_key_usage, alternative_names;
};

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return true;
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_name(X509_NAME* name, const Subject& subject) {
  const auto add = [&](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
  };
  for (const std::string& organization : subject.organizations)
    if (!add("O", organization)) return false;
  return add("CN", subject.common_name);
}

// `issuer` null: the certificate signs itself.
Result<KeyPair> issue(const Request& request, X509* issuer, EVP_PKEY* issuer_key) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (!key || !certificate) return openssl_failure("cannot make a key");
  uint8_t serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_failure("cannot make a serial number");
  serial[0] &= 0x7f;  // RFC 5280 4.1.2.2: positive
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  X509* const x = certificate.get();
  const bool filled = X509_set_version(x, 2) == 1 && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x)) &&
                      X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
                      X509_gmtime_adj(X509_getm_notAfter(x), kLifetimeSeconds) && X509_set_pubkey(x, key.get()) == 1 &&
                      set_name(X509_get_subject_name(x), request.subject) &&
                      X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)) == 1;
  if (!filled) return openssl_failure("cannot fill a certificate");
  X509* const signer = issuer ? issuer : x;
  const bool extended = add_extension(x, signer, NID_basic_constraints, request.basic_constraints) &&
                        add_extension(x, signer, NID_key_usage, request.key_usage) &&
                        add_extension(x, signer, NID_ext_key_usage, request.extended_key_usage) &&
                        add_extension(x, signer, NID_subject_key_identifier, "hash") &&
                        add_extension(x, signer, NID_authority_key_identifier, issuer ? "keyid" : "") &&
                        add_extension(x, signer, NID_subject_alt_name, request.alternative_names);
  if (!extended || X509_sign(x, issuer ? issuer_key : key.get(), EVP_sha256()) == 0)
    return openssl_failure("cannot sign a certificate");
  const Bio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_text.get(), x) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failure("cannot write a certificate");
  return KeyPair{text_of(certificate_text.get()), text_of(key_text.get())};
}

Result<KeyPair> issue_by(const KeyPair& authority, const Request& request) {
  const Bio certificate_text(
      BIO_new_mem_buf(authority.certificate_pem.data(), static_cast<int>(authority.certificate_pem.size())));
  const Bio key_text(BIO_new_mem_buf(authority.key_pem.data(), static_cast<int>(authority.key_pem.size())));
  const Certificate issuer(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const Key key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!issuer || !key) return openssl_failure("cannot read the certificate authority");
  return issue(request, issuer.get(), key.get());
}

Result<std::string> random_token() {
  uint8_t bytes[32];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return openssl_failure("cannot make a token");
  std::string out;
  for (const uint8_t byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

Result<KeyPair> make_authority(std::string_view common_name) {
  return issue(
      {{std::string(common_name), {}}, "critical,CA:TRUE", "critical,keyCertSign,cRLSign,digitalSignature", "", ""},
      nullptr, nullptr);
}

Result<KeyPair> make_server_certificate(const KeyPair& authority, const ServerNames& names) {
  std::string alternatives;
  for (const std::string& name : names.dns) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
  for (const net::IpAddress& address : names.addresses)
    alternatives += (alternatives.empty() ? "IP:" : ",IP:") + address.str();
  return issue_by(
      authority,
      {{"kube-apiserver", {}}, "critical,CA:FALSE", "critical,digitalSignature", "serverAuth", alternatives});
}

Result<KeyPair> make_client_certificate(const KeyPair& authority, std::string_view user,
                                        const std::vector<std::string>& groups) {
  return issue_by(authority,
                  {{std::string(user), groups}, "critical,CA:FALSE", "critical,digitalSignature", "clientAuth", ""});
}

Result<std::string> make_signing_key() {
  const Key key(EVP_EC_gen("P-256"));
  const Bio text(BIO_new(BIO_s_mem()));
  if (!key || PEM_write_bio_PrivateKey(text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failure("cannot make a key");
  return text_of(text.get());
}

Result<Credentials> make_credentials(const ServerNames& names) {
  Credentials made;
  made.authority = TRY(make_authority("carrick-ca"));
  made.server = TRY(make_server_certificate(made.authority, names));
  made.admin = TRY(make_client_certificate(made.authority, "kubernetes-admin", {"system:masters"}));
  made.admin_token = TRY(random_token());
  made.token_key = TRY(make_signing_key());
  return made;
}

}  // namespace carrick::apiserver
