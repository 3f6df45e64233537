package policy_test

import "testing"

func TestStringConditions(t *testing.T) {
	decide(t, "2012-10-17", []group{
		{"'Condition':{'StringEquals':{'aws:username':'alice'}}", []row{
			{"StringEquals is true of the same text", request(with("aws:username", "alice")), yes},
			{"StringEquals regards case", request(with("aws:username", "Alice")), no},
			{"StringEquals is false without the key", request(), no},
			{"StringEquals is false of an empty value", request(with("aws:username", "")), no},
			{"StringEquals is false of no values", request(with("aws:username")), no},
		}},
		{"'Condition':{'StringEquals':{'AWS:UserName':['alice','bob']}}", []row{
			{"the case of a key does not matter, and one of several values is enough", request(with("aws:username", "bob")), yes},
			{"none of several values is not enough", request(with("aws:username", "carol")), no},
		}},
		{"'Condition':{'StringEquals':{'aws:username':'a*'}}", []row{
			{"StringEquals takes a star as it is", request(with("aws:username", "a*")), yes},
			{"StringEquals has no wildcards", request(with("aws:username", "alice")), no},
		}},
		{"'Condition':{'StringNotEquals':{'aws:username':['alice','bob']}}", []row{
			{"StringNotEquals is false of the first value", request(with("aws:username", "alice")), no},
			{"StringNotEquals is false of the second value", request(with("aws:username", "bob")), no},
			{"StringNotEquals is true of what differs from all", request(with("aws:username", "carol")), yes},
			{"StringNotEquals is true without the key", request(), yes},
		}},
		{"'Condition':{'StringEqualsIgnoreCase':{'aws:username':'Alice'}}", []row{
			{"StringEqualsIgnoreCase does not regard case", request(with("aws:username", "aLICE")), yes},
			{"StringEqualsIgnoreCase compares the whole text", request(with("aws:username", "alice2")), no},
			{"StringEqualsIgnoreCase is false without the key", request(), no},
		}},
		{"'Condition':{'StringNotEqualsIgnoreCase':{'aws:username':'Alice'}}", []row{
			{"StringNotEqualsIgnoreCase is false of another case", request(with("aws:username", "ALICE")), no},
			{"StringNotEqualsIgnoreCase is true without the key", request(), yes},
		}},
		{"'Condition':{'StringLike':{'aws:Referer':'https://*.example/?'}}", []row{
			{"StringLike has wildcards", request(with("aws:Referer", "https://www.a.example/1")), yes},
			{"StringLike needs one character for each question mark", request(with("aws:Referer", "https://www.a.example/")), no},
			{"StringLike regards case", request(with("aws:Referer", "HTTPS://www.example/1")), no},
			{"StringLike is false without the key", request(), no},
		}},
		{"'Condition':{'StringNotLike':{'aws:Referer':['*.example/*','*.test/*']}}", []row{
			{"StringNotLike is false when any value is like it", request(with("aws:Referer", "https://a.test/")), no},
			{"StringNotLike is true when none is", request(with("aws:Referer", "https://a.invalid/")), yes},
			{"StringNotLike is true without the key", request(), yes},
		}},
		{"'Condition':{'StringEquals':{'aws:UserAgent':['edge-1','edge-2']}}", []row{
			{"either of two secrets is enough", request(agent("edge-2")), yes},
			{"a part of a secret is not", request(agent("edge-")), no},
			{"a secret with more after it is not", request(agent("edge-1 x")), no},
			{"no User-Agent is not", request(), no},
		}},
		{"'Condition':{'StringNotEquals':{'aws:UserAgent':''}}", []row{
			{"an empty User-Agent counts as missing, so that negated operators are true", request(agent("")), yes},
			{"another User-Agent differs from an empty value", request(agent("x")), yes},
		}},
		{"'Condition':{'StringEquals':{'aws:Referer':''}}", []row{
			{"an empty Referer is a value", request(with("aws:Referer", "")), yes},
			{"a missing Referer is not", request(), no},
		}},
		{"'Condition':{'StringLike':{'aws:UserAgent':['edge-1','cdn-*']}}", []row{
			{"a secret under StringLike is enough", request(agent("edge-1")), yes},
			{"a User-Agent with a wildcard is enough", request(agent("cdn-7")), yes},
			{"another User-Agent is not", request(agent("curl/8")), no},
		}},
	})
}

func TestNumberAndDateConditions(t *testing.T) {
	now := with("aws:CurrentTime", "2026-05-01T12:00:00Z")
	decide(t, "2012-10-17", []group{
		{"'Condition':{'NumericEquals':{'aws:EpochTime':10}}", []row{
			{"NumericEquals compares numbers and not their texts", request(with("aws:EpochTime", "10.0")), yes},
			{"NumericEquals is false of another number", request(with("aws:EpochTime", "11")), no},
			{"NumericEquals is false of what is no number", request(with("aws:EpochTime", "ten")), no},
			{"NumericEquals is false without the key", request(), no},
		}},
		{"'Condition':{'NumericNotEquals':{'aws:EpochTime':['10','20']}}", []row{
			{"NumericNotEquals is false of one of its values", request(with("aws:EpochTime", "20")), no},
			{"NumericNotEquals is true of another", request(with("aws:EpochTime", "30")), yes},
			{"NumericNotEquals is true without the key", request(), yes},
		}},
		{"'Condition':{'NumericLessThan':{'aws:EpochTime':'10'}}", []row{
			{"NumericLessThan is true below", request(with("aws:EpochTime", "9.5")), yes},
			{"NumericLessThan is false at", request(with("aws:EpochTime", "10")), no},
		}},
		{"'Condition':{'NumericLessThanEquals':{'aws:EpochTime':'10'}}", []row{
			{"NumericLessThanEquals is true at", request(with("aws:EpochTime", "10")), yes},
			{"NumericLessThanEquals is false above", request(with("aws:EpochTime", "10.5")), no},
		}},
		{"'Condition':{'NumericGreaterThan':{'aws:EpochTime':'-1e1'}}", []row{
			{"NumericGreaterThan is true above", request(with("aws:EpochTime", "9")), yes},
			{"NumericGreaterThan is false at", request(with("aws:EpochTime", "-10")), no},
		}},
		{"'Condition':{'NumericGreaterThanEquals':{'aws:EpochTime':'10'}}", []row{
			{"NumericGreaterThanEquals is true at", request(with("aws:EpochTime", "10")), yes},
			{"NumericGreaterThanEquals is false without the key", request(), no},
		}},
		{"'Condition':{'DateGreaterThan':{'aws:CurrentTime':'2026-05-01T13:59:59+02:00'},'DateLessThan':{'aws:CurrentTime':'2026-05-02'}}", []row{
			{"two dates make a range, and zones are regarded", request(now), yes},
			{"before the range is outside", request(with("aws:CurrentTime", "2026-05-01T11:59:59Z")), no},
			{"after the range is outside", request(with("aws:CurrentTime", "2026-05-02T00:00:00Z")), no},
			{"no time is outside", request(), no},
		}},
		{"'Condition':{'DateLessThanEquals':{'aws:CurrentTime':1777636800}}", []row{
			{"a date may be seconds since 1970", request(now), yes},
			{"which end with that second", request(with("aws:CurrentTime", "2026-05-01T12:00:00.001Z")), no},
		}},
		{"'Condition':{'DateGreaterThanEquals':{'aws:EpochTime':'2026-05-01T12:00Z'}}", []row{
			{"a request's time may be seconds since 1970", request(with("aws:EpochTime", "1777636800")), yes},
			{"which are too few one second before", request(with("aws:EpochTime", "1777636799")), no},
		}},
		{"'Condition':{'DateEquals':{'aws:CurrentTime':['2026-05','2026-05-01T12:00:00.000Z']}}", []row{
			{"DateEquals is true of one of its values", request(now), yes},
			{"DateEquals is false of others", request(with("aws:CurrentTime", "2026-05-01T12:00:01Z")), no},
		}},
		{"'Condition':{'DateNotEquals':{'aws:CurrentTime':'2026-05-01T12:00:00Z'}}", []row{
			{"DateNotEquals is false of its value", request(now), no},
			{"DateNotEquals is true without the key", request(), yes},
		}},
	})
}

func TestOtherConditions(t *testing.T) {
	decide(t, "2012-10-17", []group{
		{"'Condition':{'Bool':{'aws:SecureTransport':'true'}}", []row{
			{"HTTPS is secure", request(), yes},
			{"HTTP is not", request(overHTTP()), no},
			{"Bool is false without the key", request(without("aws:SecureTransport")), no},
			{"Bool is false of what is no truth value", request(with("aws:SecureTransport", "yes")), no},
		}},
		{"'Condition':{'Bool':{'aws:SecureTransport':false}}", []row{
			{"a truth value of JSON will do", request(overHTTP()), yes},
			{"and is compared", request(), no},
		}},
		{"'Condition':{'Bool':{'aws:SecureTransport':['true','false']}}", []row{
			{"both truth values take HTTPS", request(), yes},
			{"both truth values take HTTP", request(overHTTP()), yes},
			{"both truth values need the key", request(without("aws:SecureTransport")), no},
		}},
		{"'Condition':{'BinaryEquals':{'aws:userid':'AQID'}}", []row{
			{"BinaryEquals compares bytes", request(with("aws:userid", "AQID")), yes},
			{"BinaryEquals is false of other bytes", request(with("aws:userid", "AQIE")), no},
			{"BinaryEquals is false of what is not base64", request(with("aws:userid", "AQI")), no},
		}},
		{"'Condition':{'IpAddress':{'aws:SourceIp':['203.0.113.0/24','2001:db8::/32','192.0.2.9']}}", []row{
			{"an address in a range is inside", request(from("203.0.113.200")), yes},
			{"an address outside is not", request(from("203.0.114.1")), no},
			{"an IPv6 address in a range is inside", request(from("2001:db8::1")), yes},
			{"another IPv6 address is not", request(from("2001:db9::1")), no},
			{"an address alone means itself", request(from("192.0.2.9")), yes},
			{"and not its neighbour", request(from("192.0.2.8")), no},
			{"an IPv4-mapped address counts as IPv4", request(from("::ffff:203.0.113.5")), yes},
			{"what is no address is not inside", request(from("localhost")), no},
			{"IpAddress is false without the key", request(without("aws:SourceIp")), no},
		}},
		{"'Condition':{'IpAddress':{'aws:SourceIp':'203.0.113.77/24'}}", []row{
			{"bits beyond the length of a prefix are disregarded", request(from("203.0.113.1")), yes},
		}},
		{"'Condition':{'IpAddress':{'aws:SourceIp':'::ffff:203.0.113.0/120'}}", []row{
			{"an IPv4-mapped range holds IPv4 addresses", request(from("203.0.113.1")), yes},
			{"and only its own", request(from("203.0.114.1")), no},
		}},
		{"'Condition':{'NotIpAddress':{'aws:SourceIp':['203.0.113.0/24','192.0.2.0/24']}}", []row{
			{"NotIpAddress is false in any of its ranges", request(from("192.0.2.1")), no},
			{"NotIpAddress is true outside of all", request(), yes},
			{"NotIpAddress is true without the key", request(without("aws:SourceIp")), yes},
		}},
		{"'Condition':{'IpAddress':{'aws:SourceIp':'203.0.113.0/24'},'NotIpAddress':{'aws:SourceIp':'203.0.113.128/25'}}", []row{
			{"a range with a hole takes what is beside the hole", request(from("203.0.113.1")), yes},
			{"a range with a hole leaves out the hole", request(from("203.0.113.129")), no},
		}},
		{"'Condition':{'ArnEquals':{'aws:SourceArn':'arn:aws:cloudfront::*:distribution/E?'}}", []row{
			{"ArnEquals has wildcards, as ArnLike", request(with("aws:SourceArn", "arn:aws:cloudfront::1:distribution/E7")), yes},
			{"a star in an ARN does not pass over a colon", request(with("aws:SourceArn", "arn:aws:cloudfront::1:2:distribution/E7")), no},
			{"what is no ARN is not like one", request(with("aws:SourceArn", "E7")), no},
			{"ArnEquals is false without the key", request(), no},
		}},
		{"'Condition':{'ArnLike':{'aws:SourceArn':['arn:aws:cloudfront::1:distribution/*','arn:aws:medialive:*:*:channel:*']}}", []row{
			{"a star in an ARN's last part passes over everything", request(with("aws:SourceArn", "arn:aws:medialive:eu-west-1:1:channel:7:x/y")), yes},
			{"each part must match", request(with("aws:SourceArn", "arn:aws:cloudfront::2:distribution/E1")), no},
		}},
		{"'Condition':{'ArnNotEquals':{'aws:SourceArn':'arn:aws:cloudfront::1:distribution/E1'}}", []row{
			{"ArnNotEquals is false of its value", request(with("aws:SourceArn", "arn:aws:cloudfront::1:distribution/E1")), no},
			{"ArnNotEquals is true of another", request(with("aws:SourceArn", "arn:aws:cloudfront::1:distribution/E2")), yes},
			{"ArnNotEquals is true without the key", request(), yes},
		}},
		{"'Condition':{'ArnNotLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/encoder-*'}}", []row{
			{"ArnNotLike is false of what is like it", request(with("aws:PrincipalArn", encoder)), no},
			{"ArnNotLike is true of what is not", request(with("aws:PrincipalArn", session)), yes},
		}},
		{"'Condition':{}", []row{{"an empty condition is true", request(), yes}}},
		{"'Condition':{'StringEquals':{'aws:username':'alice','aws:userid':'7'},'Bool':{'aws:SecureTransport':'true'}}", []row{
			{"all keys and operators must be true", request(with("aws:username", "alice"), with("aws:userid", "7")), yes},
			{"one key that is false is enough against it", request(with("aws:username", "alice"), with("aws:userid", "8")), no},
			{"one operator that is false is enough against it",
				request(with("aws:username", "alice"), with("aws:userid", "7"), overHTTP()), no},
		}},
		{"'Condition':{'StringEquals':{'aws:ResourceTag/Team':'sports'}}", []row{
			{"a tag's key is a key", request(with("aws:ResourceTag/team", "sports")), yes},
			{"another tag's is another", request(with("aws:ResourceTag/unit", "sports")), no},
		}},
	})
}

func TestMissingAndSeveralValues(t *testing.T) {
	decide(t, "2012-10-17", []group{
		{"'Condition':{'StringEqualsIfExists':{'aws:username':'alice'}}", []row{
			{"IfExists is true without the key", request(), yes},
			{"IfExists compares a key that is there", request(with("aws:username", "bob")), no},
			{"IfExists is true of the value", request(with("aws:username", "alice")), yes},
			{"IfExists compares an empty value", request(with("aws:username", "")), no},
		}},
		{"'Condition':{'StringNotEqualsIfExists':{'aws:username':'alice'}}", []row{
			{"a negated operator with IfExists is true without the key", request(), yes},
			{"a negated operator with IfExists compares a key that is there", request(with("aws:username", "alice")), no},
		}},
		{"'Condition':{'IpAddressIfExists':{'aws:SourceIp':'203.0.113.0/24'}}", []row{
			{"IfExists goes with every operator", request(without("aws:SourceIp")), yes},
			{"and compares with it", request(), no},
		}},
		{"'Condition':{'Null':{'aws:Referer':'true'}}", []row{
			{"Null true is true without the key", request(), yes},
			{"Null true is false with the key", request(with("aws:Referer", "x")), no},
			{"Null true is false with an empty value", request(with("aws:Referer", "")), no},
		}},
		{"'Condition':{'Null':{'aws:Referer':false}}", []row{
			{"Null false is false without the key", request(), no},
			{"Null false is true with the key", request(with("aws:Referer", "x")), yes},
		}},
		{"'Condition':{'Null':{'aws:UserAgent':'true'}}", []row{
			{"Null takes an empty User-Agent for a missing one", request(agent("")), yes},
			{"Null takes a User-Agent as it is", request(agent("x")), no},
		}},
		{"'Condition':{'ForAllValues:StringLike':{'aws:TagKeys':['team','cost-*']}}", []row{
			{"ForAllValues is true when each value matches", request(with("aws:TagKeys", "team", "cost-1")), yes},
			{"ForAllValues is false when one does not", request(with("aws:TagKeys", "team", "x")), no},
			{"ForAllValues is true of no values", request(with("aws:TagKeys")), yes},
			{"ForAllValues is true without the key", request(), yes},
		}},
		{"'Condition':{'ForAnyValue:StringEquals':{'aws:TagKeys':['team','cost']}}", []row{
			{"ForAnyValue is true when one value matches", request(with("aws:TagKeys", "x", "cost")), yes},
			{"ForAnyValue is false when none does", request(with("aws:TagKeys", "x", "y")), no},
			{"ForAnyValue is false of no values", request(with("aws:TagKeys")), no},
			{"ForAnyValue is false without the key", request(), no},
		}},
		{"'Condition':{'ForAllValues:StringNotEquals':{'aws:TagKeys':['a','b']}}", []row{
			{"ForAllValues negated is true when each value differs from all", request(with("aws:TagKeys", "c", "d")), yes},
			{"ForAllValues negated is false when one is equal", request(with("aws:TagKeys", "c", "b")), no},
		}},
		{"'Condition':{'ForAnyValue:StringNotEquals':{'aws:TagKeys':['a','b']}}", []row{
			{"ForAnyValue negated is true when one value differs from all", request(with("aws:TagKeys", "a", "c")), yes},
			{"ForAnyValue negated is false when each is equal to one", request(with("aws:TagKeys", "a", "b")), no},
			{"ForAnyValue negated is false without the key", request(), no},
		}},
		{"'Condition':{'ForAnyValue:StringEqualsIfExists':{'aws:TagKeys':'a'}}", []row{
			{"ForAnyValue with IfExists is true without the key", request(), yes},
			{"ForAnyValue with IfExists is false of no values", request(with("aws:TagKeys")), no},
		}},
		{"'Condition':{'StringEquals':{'aws:TagKeys':'a'}}", []row{
			{"a plain operator is true when any of several values matches", request(with("aws:TagKeys", "b", "a")), yes},
		}},
		{"'Condition':{'StringNotEquals':{'aws:TagKeys':'a'}}", []row{
			{"a plain negated operator is false when any of several values matches", request(with("aws:TagKeys", "b", "a")), no},
		}},
	})
}
