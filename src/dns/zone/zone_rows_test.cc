#include "dns/zone/zone_rows.h"

// The table itself; a *_test.cc because only tests link it.
namespace carrick::dns::test {
namespace {

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }

class TableBuilder {
 public:
  TableBuilder() {
    table_.synced = true;
    table_.serial = 7;
    table_.dns_service = {ip("10.96.0.10"), ip("2001:db8:96::a")};
    table_.reverse_zones = {net::Prefix::parse("10.96.0.0/16").value(), net::Prefix::parse("10.1.1.0/24").value(),
                            net::Prefix::parse("172.20.0.0/14").value(),
                            net::Prefix::parse("2001:db8:96::/112").value(),
                            net::Prefix::parse("2001:db8:1:1::/64").value()};
    for (const char* name : {"svc", "pod", "dns"}) table_.names[name];
    table_.names["ns.dns"].addresses = table_.dns_service;
    table_.names["dns-version"].texts = {"1.1.0"};
    for (const char* name : {"default", "kube-system", "empty"}) {
      table_.namespaces.insert(name);
      table_.names[std::string(name) + ".svc"];
      table_.names[std::string(name) + ".pod"];
    }
  }

  void cluster_ip(const std::string& base, std::vector<const char*> addresses,
                  std::vector<std::pair<std::string, uint16_t>> ports) {
    for (const char* address : addresses) {
      table_.names[base].addresses.push_back(ip(address));
      table_.reverse[ip(address)].push_back(base);
    }
    for (const auto& [label, port] : ports) add_srv(base, label, port, base, 100);
  }

  void endpoint(const std::string& base, const std::string& host, std::vector<const char*> addresses, bool headless,
                std::vector<std::pair<std::string, uint16_t>> ports = {}) {
    std::string name = host + "." + base;
    for (const char* address : addresses) {
      table_.names[name].addresses.push_back(ip(address));
      table_.reverse[ip(address)].push_back(name);
      if (headless) table_.names[base].addresses.push_back(ip(address));
    }
    if (headless)
      for (const auto& [label, port] : ports) add_srv(base, label, port, name, 50);
  }

  void external(const std::string& base, const std::string& target) { table_.names[base].cname = target; }
  void pod(const char* address, const char* name) { table_.pods[ip(address)] = name; }
  desired::NameTable take() { return std::move(table_); }

 private:
  void add_srv(const std::string& base, const std::string& label, uint16_t port, const std::string& target,
               uint16_t weight) {
    desired::SrvRecord record{0, weight, port, target};
    table_.names[base].services.push_back(record);
    if (label.empty()) return;
    table_.names[label.substr(label.find('.') + 1) + "." + base];
    table_.names[label + "." + base].services.push_back(record);
  }

  desired::NameTable table_;
};

constexpr const char* kZone = "cluster.local";
using Rows = std::vector<Row>;

std::string v6_reverse(const char* tail) {
  return std::string(tail) + ".0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
}

void add(Rows& to, Rows from) { to.insert(to.end(), from.begin(), from.end()); }

Rows zone_structure() {
  return {
      {"DNS-1", "dns-version.cluster.local TXT", "NOERROR", {"dns-version.cluster.local TXT \"1.1.0\""}, "", {}},
      {"DNS-1", "dns-version.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N5",
       "cluster.local SOA",
       "NOERROR",
       {"cluster.local SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"},
       "",
       {}},
      {"DNS-N5",
       "cluster.local NS",
       "NOERROR",
       {"cluster.local NS ns.dns.cluster.local."},
       "",
       {"ns.dns.cluster.local A 10.96.0.10", "ns.dns.cluster.local AAAA 2001:db8:96::a"}},
      {"DNS-N5",
       "CLUSTER.local SOA",
       "NOERROR",
       {"CLUSTER.local SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"},
       "",
       {}},
      {"DNS-N5", "cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N5", "cluster.local AAAA", "NOERROR", {}, kZone, {}},
      {"DNS-N5", "cluster.local TXT", "NOERROR", {}, kZone, {}},
      {"DNS-N5", "cluster.local MX", "NOERROR", {}, kZone, {}},
      {"DNS-N5", "ns.dns.cluster.local A", "NOERROR", {"ns.dns.cluster.local A 10.96.0.10"}, "", {}},
      {"DNS-N5", "ns.dns.cluster.local AAAA", "NOERROR", {"ns.dns.cluster.local AAAA 2001:db8:96::a"}, "", {}},
      {"DNS-N3", "dns.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "svc.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "svc.cluster.local SRV", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "pod.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "default.svc.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "DEFAULT.svc.cluster.local AAAA", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "empty.svc.cluster.local TXT", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "empty.pod.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "default.pod.cluster.local SOA", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "nowhere.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N3", "nowhere.pod.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "nothing.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "svc.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N2", "svc.cluster.local SOA", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local SOA", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local NS", "NOERROR", {}, kZone, {}},
      {"DNS-N4", "a.b.web.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N4", "_a.b.c.web.default.svc.cluster.local SRV", "NXDOMAIN", {}, kZone, {}},
  };
}

Rows cluster_ips() {
  return {
      {"DNS-2", "web.default.svc.cluster.local A", "NOERROR", {"web.default.svc.cluster.local A 10.96.0.7"}, "", {}},
      {"DNS-2",
       "web.default.svc.cluster.local AAAA",
       "NOERROR",
       {"web.default.svc.cluster.local AAAA 2001:db8:96::7"},
       "",
       {}},
      {"DNS-2", "WeB.dEfAult.SVC.Cluster.Local A", "NOERROR", {"WeB.dEfAult.SVC.Cluster.Local A 10.96.0.7"}, "", {}},
      {"DNS-2",
       "kubernetes.default.svc.cluster.local A",
       "NOERROR",
       {"kubernetes.default.svc.cluster.local A 10.96.0.1"},
       "",
       {}},
      {"DNS-2",
       "v4only.default.svc.cluster.local A",
       "NOERROR",
       {"v4only.default.svc.cluster.local A 10.96.0.8"},
       "",
       {}},
      {"DNS-2", "v4only.default.svc.cluster.local AAAA", "NOERROR", {}, kZone, {}},
      {"DNS-2",
       "v6only.default.svc.cluster.local AAAA",
       "NOERROR",
       {"v6only.default.svc.cluster.local AAAA 2001:db8:96::9"},
       "",
       {}},
      {"DNS-2", "v6only.default.svc.cluster.local A", "NOERROR", {}, kZone, {}},
      {"DNS-2",
       "kube-dns.kube-system.svc.cluster.local A",
       "NOERROR",
       {"kube-dns.kube-system.svc.cluster.local A 10.96.0.10"},
       "",
       {}},
      {"DNS-N2", "web.default.svc.cluster.local TXT", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local MX", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local HINFO", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local CNAME", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local PTR", "NOERROR", {}, kZone, {}},
      {"DNS-N2", "web.default.svc.cluster.local TYPE65", "NOERROR", {}, kZone, {}},
      {"RFC8482",
       "web.default.svc.cluster.local ANY",
       "NOERROR",
       {"web.default.svc.cluster.local HINFO \"RFC8482\" \"\""},
       "",
       {}},
      {"RFC8482", "default.svc.cluster.local ANY", "NOERROR", {}, kZone, {}},
      {"DNS-N1", "web.kube-system.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "web.nowhere.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "nothing.default.svc.cluster.local AAAA", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "web.default.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "web.default.svc.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N1", "web.default.svc.cluster.local.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-C3", "example.com.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-C3", "example.com.svc.cluster.local AAAA", "NXDOMAIN", {}, kZone, {}},
      {"DNS-C3", "example.com.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-8",
       "10-1-1-5.web.default.svc.cluster.local A",
       "NOERROR",
       {"10-1-1-5.web.default.svc.cluster.local A 10.1.1.5"},
       "",
       {}},
      {"DNS-N1", "10-1-1-6.web.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"name", "web\\.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"name", "web.default\\.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"name", "web\\000.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"name", "\\042.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
  };
}

Rows service_records() {
  const std::string web = "web.default.svc.cluster.local";
  const std::vector<std::string> glue = {web + " A 10.96.0.7", web + " AAAA 2001:db8:96::7"};
  return {
      {"DNS-3",
       "_http._tcp." + web + " SRV",
       "NOERROR",
       {"_http._tcp." + web + " SRV 0 100 80 " + web + "."},
       "",
       glue},
      {"DNS-3",
       "_HTTP._TCP." + web + " SRV",
       "NOERROR",
       {"_HTTP._TCP." + web + " SRV 0 100 80 " + web + "."},
       "",
       glue},
      {"DNS-3", "_dns._udp." + web + " SRV", "NOERROR", {"_dns._udp." + web + " SRV 0 100 53 " + web + "."}, "", glue},
      {"DNS-3", "_http._udp." + web + " SRV", "NXDOMAIN", {}, kZone, {}},
      {"DNS-3", "_none._tcp." + web + " SRV", "NXDOMAIN", {}, kZone, {}},
      {"DNS-3", "_http._tcp." + web + " A", "NOERROR", {}, kZone, {}},
      {"DNS-3", "http._tcp." + web + " SRV", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N3", "_tcp." + web + " SRV", "NOERROR", {}, kZone, {}},
      {"DNS-N3", "_udp." + web + " A", "NOERROR", {}, kZone, {}},
      {"DNS-N1", "_sctp." + web + " SRV", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N8",
       web + " SRV",
       "NOERROR",
       {web + " SRV 0 100 80 " + web + ".", web + " SRV 0 100 53 " + web + "."},
       "",
       glue},
      {"DNS-N8",
       "v4only.default.svc.cluster.local SRV",
       "NOERROR",
       {"v4only.default.svc.cluster.local SRV 0 100 8080 v4only.default.svc.cluster.local."},
       "",
       {"v4only.default.svc.cluster.local A 10.96.0.8"}},
      {"DNS-3", "_tcp.v4only.default.svc.cluster.local SRV", "NXDOMAIN", {}, kZone, {}},
  };
}

Rows headless() {
  const std::string db = "db.default.svc.cluster.local";
  return {
      {"DNS-5", db + " A", "NOERROR", {db + " A 10.1.1.7", db + " A 10.1.1.8"}, "", {}},
      {"DNS-5", db + " AAAA", "NOERROR", {db + " AAAA 2001:db8:1:1::7"}, "", {}},
      {"DNS-5", "unready.default.svc.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-6", "db-0." + db + " A", "NOERROR", {"db-0." + db + " A 10.1.1.7"}, "", {}},
      {"DNS-6", "db-0." + db + " AAAA", "NOERROR", {"db-0." + db + " AAAA 2001:db8:1:1::7"}, "", {}},
      {"DNS-6", "DB-0." + db + " A", "NOERROR", {"DB-0." + db + " A 10.1.1.7"}, "", {}},
      {"DNS-6", "db-1." + db + " AAAA", "NOERROR", {}, kZone, {}},
      {"DNS-6", "db-2." + db + " A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-6",
       "10-1-1-9.mixed.default.svc.cluster.local A",
       "NOERROR",
       {"10-1-1-9.mixed.default.svc.cluster.local A 10.1.1.9"},
       "",
       {}},
      {"DNS-6",
       "2001-db8-1-1--9.mixed.default.svc.cluster.local AAAA",
       "NOERROR",
       {"2001-db8-1-1--9.mixed.default.svc.cluster.local AAAA 2001:db8:1:1::9"},
       "",
       {}},
      {"DNS-6",
       "twin.mixed.default.svc.cluster.local A",
       "NOERROR",
       {"twin.mixed.default.svc.cluster.local A 10.1.1.10", "twin.mixed.default.svc.cluster.local A 10.1.1.11"},
       "",
       {}},
      {"DNS-7",
       "_pg._tcp." + db + " SRV",
       "NOERROR",
       {"_pg._tcp." + db + " SRV 0 50 5432 db-0." + db + ".", "_pg._tcp." + db + " SRV 0 50 5432 db-1." + db + "."},
       "",
       {"db-0." + db + " A 10.1.1.7", "db-0." + db + " AAAA 2001:db8:1:1::7", "db-1." + db + " A 10.1.1.8"}},
      {"DNS-7",
       db + " SRV",
       "NOERROR",
       {db + " SRV 0 50 5432 db-0." + db + ".", db + " SRV 0 50 5432 db-1." + db + "."},
       "",
       {"db-0." + db + " A 10.1.1.7", "db-0." + db + " AAAA 2001:db8:1:1::7", "db-1." + db + " A 10.1.1.8"}},
      {"DNS-7", "db-0." + db + " SRV", "NOERROR", {}, kZone, {}},
      {"DNS-7", "_pg._tcp.db-0." + db + " SRV", "NXDOMAIN", {}, kZone, {}},
      {"DNS-N2", db + " TXT", "NOERROR", {}, kZone, {}},
  };
}

Rows reverse() {
  const std::string seven = v6_reverse("7.0.0.0");
  return {
      {"DNS-4",
       "7.0.96.10.in-addr.arpa PTR",
       "NOERROR",
       {"7.0.96.10.in-addr.arpa PTR web.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-4",
       "1.0.96.10.IN-ADDR.ARPA PTR",
       "NOERROR",
       {"1.0.96.10.IN-ADDR.ARPA PTR kubernetes.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-4", seven + " PTR", "NOERROR", {seven + " PTR web.default.svc.cluster.local."}, "", {}},
      {"DNS-4", "7.0.96.10.in-addr.arpa A", "NOERROR", {}, "96.10.in-addr.arpa", {}},
      {"DNS-4", seven + " TXT", "NOERROR", {}, "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.8.b.d.0.1.0.0.2.ip6.arpa", {}},
      {"DNS-8",
       "7.1.1.10.in-addr.arpa PTR",
       "NOERROR",
       {"7.1.1.10.in-addr.arpa PTR db-0.db.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-8",
       "5.1.1.10.in-addr.arpa PTR",
       "NOERROR",
       {"5.1.1.10.in-addr.arpa PTR 10-1-1-5.web.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-8",
       "12.1.1.10.in-addr.arpa PTR",
       "NOERROR",
       {"12.1.1.10.in-addr.arpa PTR a.mixed.default.svc.cluster.local.",
        "12.1.1.10.in-addr.arpa PTR b.other.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-8",
       "9.113.0.203.in-addr.arpa PTR",
       "NOERROR",
       {"9.113.0.203.in-addr.arpa PTR far.mixed.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-N9", "99.0.96.10.in-addr.arpa PTR", "NXDOMAIN", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N9", "200.1.1.10.in-addr.arpa PTR", "NXDOMAIN", {}, "1.1.10.in-addr.arpa", {}},
      {"DNS-N9",
       v6_reverse("9.9.0.0") + " PTR",
       "NXDOMAIN",
       {},
       "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
       {}},
      {"DNS-N9",
       "96.10.in-addr.arpa SOA",
       "NOERROR",
       {"96.10.in-addr.arpa SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"},
       "",
       {}},
      {"DNS-N9",
       "96.10.in-addr.arpa NS",
       "NOERROR",
       {"96.10.in-addr.arpa NS ns.dns.cluster.local."},
       "",
       {"ns.dns.cluster.local A 10.96.0.10", "ns.dns.cluster.local AAAA 2001:db8:96::a"}},
      {"DNS-N9", "96.10.in-addr.arpa PTR", "NOERROR", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N3", "0.96.10.in-addr.arpa PTR", "NOERROR", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N9", "50.96.10.in-addr.arpa PTR", "NXDOMAIN", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N9", "x.0.96.10.in-addr.arpa PTR", "NXDOMAIN", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N9", "256.0.96.10.in-addr.arpa PTR", "NXDOMAIN", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N9", "07.0.96.10.in-addr.arpa PTR", "NXDOMAIN", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N4", "1.7.0.96.10.in-addr.arpa PTR", "NXDOMAIN", {}, "96.10.in-addr.arpa", {}},
      {"DNS-N9", "1.0.21.172.in-addr.arpa PTR", "NXDOMAIN", {}, "21.172.in-addr.arpa", {}},
  };
}

Rows pods() {
  return {
      {"pods",
       "10-1-1-5.default.pod.cluster.local A",
       "NOERROR",
       {"10-1-1-5.default.pod.cluster.local A 10.1.1.5"},
       "",
       {}},
      {"pods",
       "10-9-9-9.default.pod.cluster.local A",
       "NOERROR",
       {"10-9-9-9.default.pod.cluster.local A 10.9.9.9"},
       "",
       {}},
      {"pods", "10-1-1-5.default.pod.cluster.local AAAA", "NOERROR", {}, kZone, {}},
      {"pods",
       "2001-db8-1-1--5.default.pod.cluster.local AAAA",
       "NOERROR",
       {"2001-db8-1-1--5.default.pod.cluster.local AAAA 2001:db8:1:1::5"},
       "",
       {}},
      {"pods", "2001-db8-1-1--5.default.pod.cluster.local A", "NOERROR", {}, kZone, {}},
      {"pods", "10-1-1-5.nowhere.pod.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"pods", "10-1-1.default.pod.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"pods", "10-1-1-256.default.pod.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"pods", "web.default.pod.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"pods", "--.default.pod.cluster.local A", "NOERROR", {}, kZone, {}},
      {"pods", "--1.default.pod.cluster.local AAAA", "NOERROR", {"--1.default.pod.cluster.local AAAA ::1"}, "", {}},
      {"pods", "a.10-1-1-5.default.pod.cluster.local A", "NXDOMAIN", {}, kZone, {}},
      {"pods", "10-1-1-5.default.pod.cluster.local SRV", "NOERROR", {}, kZone, {}},
  };
}

Rows external_names() {
  const std::string in = "inside.default.svc.cluster.local", web = "web.default.svc.cluster.local";
  return {
      {"DNS-9", in + " A", "NOERROR", {in + " CNAME " + web + ".", web + " A 10.96.0.7"}, "", {}},
      {"DNS-9", in + " AAAA", "NOERROR", {in + " CNAME " + web + ".", web + " AAAA 2001:db8:96::7"}, "", {}},
      {"DNS-9", in + " CNAME", "NOERROR", {in + " CNAME " + web + "."}, "", {}},
      {"DNS-9", in + " ANY", "NOERROR", {in + " CNAME " + web + "."}, "", {}},
      {"DNS-9", in + " TXT", "NOERROR", {in + " CNAME " + web + "."}, kZone, {}},
      {"DNS-9",
       in + " SRV",
       "NOERROR",
       {in + " CNAME " + web + ".", web + " SRV 0 100 80 " + web + ".", web + " SRV 0 100 53 " + web + "."},
       "",
       {web + " A 10.96.0.7", web + " AAAA 2001:db8:96::7"}},
      {"DNS-9", "sub." + in + " A", "NXDOMAIN", {}, kZone, {}},
      {"DNS-9",
       "twice.default.svc.cluster.local A",
       "NOERROR",
       {"twice.default.svc.cluster.local CNAME " + in + ".", in + " CNAME " + web + ".", web + " A 10.96.0.7"},
       "",
       {}},
      {"DNS-9",
       "dead.default.svc.cluster.local A",
       "NXDOMAIN",
       {"dead.default.svc.cluster.local CNAME gone.default.svc.cluster.local."},
       kZone,
       {}},
      {"DNS-9",
       "loopa.default.svc.cluster.local A",
       "NOERROR",
       {"loopa.default.svc.cluster.local CNAME loopb.default.svc.cluster.local.",
        "loopb.default.svc.cluster.local CNAME loopa.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-9",
       "self.default.svc.cluster.local A",
       "NOERROR",
       {"self.default.svc.cluster.local CNAME self.default.svc.cluster.local."},
       "",
       {}},
      {"DNS-9",
       "topod.default.svc.cluster.local A",
       "NOERROR",
       {"topod.default.svc.cluster.local CNAME 10-1-1-5.default.pod.cluster.local.",
        "10-1-1-5.default.pod.cluster.local A 10.1.1.5"},
       "",
       {}},
      {"DNS-9",
       "outside.default.svc.cluster.local CNAME",
       "NOERROR",
       {"outside.default.svc.cluster.local CNAME www.example.com."},
       "",
       {}},
  };
}

}  // namespace

desired::NameTable cluster_table() {
  TableBuilder build;
  build.cluster_ip("kubernetes.default.svc", {"10.96.0.1", "2001:db8:96::1"}, {{"_https._tcp", 443}});
  build.cluster_ip("kube-dns.kube-system.svc", {"10.96.0.10", "2001:db8:96::a"}, {{"_dns._udp", 53}});
  build.cluster_ip("web.default.svc", {"10.96.0.7", "2001:db8:96::7"}, {{"_http._tcp", 80}, {"_dns._udp", 53}});
  build.endpoint("web.default.svc", "10-1-1-5", {"10.1.1.5"}, false);
  build.cluster_ip("v4only.default.svc", {"10.96.0.8"}, {{"", 8080}});
  build.cluster_ip("v6only.default.svc", {"2001:db8:96::9"}, {});
  build.endpoint("db.default.svc", "db-0", {"10.1.1.7", "2001:db8:1:1::7"}, true, {{"_pg._tcp", 5432}});
  build.endpoint("db.default.svc", "db-1", {"10.1.1.8"}, true, {{"_pg._tcp", 5432}});
  build.endpoint("mixed.default.svc", "10-1-1-9", {"10.1.1.9"}, true);
  build.endpoint("mixed.default.svc", "2001-db8-1-1--9", {"2001:db8:1:1::9"}, true);
  build.endpoint("mixed.default.svc", "twin", {"10.1.1.10", "10.1.1.11"}, true);
  build.endpoint("mixed.default.svc", "a", {"10.1.1.12"}, true);
  build.endpoint("other.default.svc", "b", {"10.1.1.12"}, true);
  build.endpoint("mixed.default.svc", "far", {"203.0.113.9"}, true);
  build.external("inside.default.svc", "web.default.svc.cluster.local");
  build.external("twice.default.svc", "inside.default.svc.cluster.local");
  build.external("dead.default.svc", "gone.default.svc.cluster.local");
  build.external("loopa.default.svc", "loopb.default.svc.cluster.local");
  build.external("loopb.default.svc", "loopa.default.svc.cluster.local");
  build.external("self.default.svc", "self.default.svc.cluster.local");
  build.external("topod.default.svc", "10-1-1-5.default.pod.cluster.local");
  build.external("outside.default.svc", "www.example.com");
  build.pod("10.1.1.5", "default");
  return build.take();
}

const std::vector<Row>& cluster_rows() {
  static const Rows kRows = [] {
    Rows all;
    for (auto* part : {zone_structure, cluster_ips, service_records, headless, reverse, pods, external_names})
      add(all, part());
    return all;
  }();
  return kRows;
}

}  // namespace carrick::dns::test
