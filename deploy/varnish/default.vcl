vcl 4.1;

# A local stand-in for a CDN in front of Headwater. It does what a CloudFront distribution for MediaPackage does: tells
# the origin a secret in User-Agent, caches by what the origin reads of a request and by nothing else, keeps errors for one
# second, joins identical requests, and goes to the origin for everything else. It does not speak TLS and knows one origin.
#
# origin.vcl, found by vcl_path, names the origin and the secret:
#
#   varnishd -a :8000 -f deploy/varnish/default.vcl -p vcl_path=deploy/varnish -s malloc,1g

import std;
include "origin.vcl";

sub vcl_recv {
    # What viewers send never reaches the origin and never splits the cache.
    unset req.http.Cookie;
    unset req.http.Authorization;
    unset req.http.X-Forwarded-Proto;
    if (req.method != "GET" && req.method != "HEAD" && req.method != "OPTIONS") {
        return (synth(405, "Method Not Allowed"));
    }
    if (req.method == "OPTIONS") {
        return (pass);
    }
    # One form of the query for one set of the parameters that the origin reads, in any order. The others are taken out, in
    # the query alone: paths may hold & as well.
    if (req.url ~ "\?") {
        set req.http.X-Query = regsub(req.url, "^[^?]*", "");
        set req.http.X-Query = regsuball(req.http.X-Query, "(^\?|&)(?!(?:start|end|m|aws\.manifestfilter)(?:[=&]|$))[^&]*", "\1");
        set req.http.X-Query = regsub(regsub(regsuball(req.http.X-Query, "&+", "&"), "^\?&", "?"), "[?&]$", "");
        set req.url = std.querysort(regsub(req.url, "\?.*$", "") + req.http.X-Query);
        unset req.http.X-Query;
    }
    if (req.http.Host) {
        set req.http.Host = std.tolower(req.http.Host);
    }
    return (hash);
}

# An answer may depend on the name by which it was asked for, and repeats Origin for CORS.
sub vcl_hash {
    hash_data(req.url);
    hash_data(req.http.Host);
    hash_data(req.http.Origin);
    return (lookup);
}

sub vcl_backend_fetch {
    call origin_secret;
}

sub vcl_backend_response {
    # Nothing stale: a live manifest that is too old stalls players.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    unset beresp.http.Set-Cookie;
    if (beresp.status >= 400) {
        # A segment asked for too early is there a moment later.
        set beresp.ttl = 1s;
        set beresp.uncacheable = false;
        return (deliver);
    }
    if (beresp.http.Cache-Control ~ "(?i)no-store|no-cache|private") {
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
    }
    # Pass a segment on while it arrives.
    set beresp.do_stream = true;
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "Hit";
    } else {
        set resp.http.X-Cache = "Miss";
    }
    unset resp.http.Via;
    unset resp.http.X-Varnish;
}
