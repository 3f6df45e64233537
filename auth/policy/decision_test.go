package policy_test

import "testing"

func TestPrincipal(t *testing.T) {
	groups := []group{
		{"'Principal':'*'", []row{
			{"a star means who is anonymous", request(), yes},
			{"a star means a user", request(by(encoder)), yes},
			{"a star means a user of another account", request(by("arn:aws:iam::999999999999:user/x")), yes},
			{"a star means a service", request(byService(edge)), yes},
		}},
		{"'Principal':{'AWS':'*'}", []row{
			{"a star under AWS means who is anonymous", request(), yes},
			{"a star under AWS means a user", request(by(encoder)), yes},
		}},
		{"'Principal':{'AWS':'ACCT'}", []row{
			{"an account means its users", request(by(encoder)), yes},
			{"an account means its sessions", request(by(session)), yes},
			{"an account does not mean another's users", request(by("arn:aws:iam::999999999999:user/encoder-a")), no},
			{"an account does not mean who is anonymous", request(), no},
			{"an account does not mean a service", request(byService(edge)), no},
		}},
		{"'Principal':{'AWS':'arn:aws:iam::ACCT:root'}", []row{
			{"an account's root means all of its users", request(by(encoder)), yes},
			{"an account's root means its root user", request(by("arn:aws:iam::" + account + ":root")), yes},
			{"an account's root does not mean who is anonymous", request(), no},
			{"an account's root does not mean another account", request(by("arn:aws:iam::999999999999:root")), no},
		}},
		{"'Principal':{'AWS':'arn:aws:iam::ACCT:user/encoder-a'}", []row{
			{"a user is who bears the ARN", request(by(encoder)), yes},
			{"a user's name is compared with its case", request(by("arn:aws:iam::" + account + ":user/Encoder-a")), no},
			{"a user is not one whose name goes on", request(by(encoder + "2")), no},
			{"a user is not who is anonymous", request(), no},
			{"a user is not another account's user of that name", request(by("arn:aws:iam::999999999999:user/encoder-a")), no},
		}},
		{"'Principal':{'AWS':['arn:aws:iam::ACCT:user/encoder-a','999999999999']}", []row{
			{"the first of a list is enough", request(by(encoder)), yes},
			{"the second of a list is enough", request(by("arn:aws:iam::999999999999:user/x")), yes},
			{"who is in no entry of a list is not meant", request(by("arn:aws:iam::" + account + ":user/encoder-b")), no},
		}},
		{"'Principal':{'AWS':'arn:aws:iam::ACCT:role/service/Packager'}", []row{
			{"a role means its sessions, which do not bear its path", request(by(session)), yes},
			{"a role means itself", request(by("arn:aws:iam::" + account + ":role/service/Packager")), yes},
			{"a role does not mean sessions of one whose name goes on",
				request(by("arn:aws:sts::" + account + ":assumed-role/Packager2/run-1")), no},
			{"a role does not mean another account's sessions",
				request(by("arn:aws:sts::999999999999:assumed-role/Packager/run-1")), no},
		}},
		{"'Principal':{'AWS':'arn:aws:sts::ACCT:assumed-role/Packager/run-1'}", []row{
			{"a session is that session", request(by(session)), yes},
			{"a session is no other session of the role", request(by("arn:aws:sts::" + account + ":assumed-role/Packager/run-2")), no},
		}},
		{"'Principal':{'Service':'cloudfront.amazonaws.com'}", []row{
			{"a service is who bears its name", request(byService(edge)), yes},
			{"a service is not another", request(byService("medialive.amazonaws.com")), no},
			{"a service is not a user", request(by(encoder)), no},
			{"a service is not who is anonymous", request(), no},
		}},
		{"'Principal':{'Service':['cloudfront.amazonaws.com'],'AWS':'ACCT'}", []row{
			{"services and accounts together mean the service", request(byService(edge)), yes},
			{"services and accounts together mean the account", request(by(encoder)), yes},
		}},
		{"'NotPrincipal':{'AWS':['arn:aws:iam::ACCT:user/encoder-a','arn:aws:iam::ACCT:role/Packager']}", []row{
			{"NotPrincipal leaves out the user it names", request(by(encoder)), no},
			{"NotPrincipal leaves out the sessions of the role it names", request(by(session)), no},
			{"NotPrincipal means another user", request(by("arn:aws:iam::" + account + ":user/encoder-b")), yes},
			{"NotPrincipal means who is anonymous", request(), yes},
		}},
	}
	decide(t, "2012-10-17", groups)
}

func TestAction(t *testing.T) {
	groups := []group{
		{"'Action':'mediastore:GetObject'", []row{
			{"an action is what bears its name", request(), yes},
			{"an action is not another", request(does("DescribeObject")), no},
			{"an action is not one whose name goes on", request(does("GetObjectX")), no},
			{"the case of the request's action does not matter", request(does("gEToBJECT")), yes},
		}},
		{"'Action':'MediaStore:getobject'", []row{
			{"the case of the policy's action does not matter", request(), yes},
			{"nor does it make another action of it", request(does("PutObject")), no},
		}},
		{"'Action':['mediastore:PutObject','mediastore:DeleteObject']", []row{
			{"any action of a list is enough", request(does("DeleteObject")), yes},
			{"an action in no list is not meant", request(), no},
		}},
		{"'Action':'mediastore:*'", []row{{"all actions of the service include each", request(does("ListItems")), yes}}},
		{"'Action':'*'", []row{{"all actions include each", request(does("PutObject")), yes}}},
		{"'Action':'mediastore:Get*'", []row{
			{"a star at the end takes the rest", request(), yes},
			{"a star at the end takes nothing else", request(does("PutObject")), no},
			{"a star at the end may take nothing", request(does("Get")), yes},
		}},
		{"'Action':'mediastore:*object'", []row{
			{"a star at the start takes the beginning, whatever its case", request(does("DescribeObject")), yes},
			{"and the end must be there", request(does("ListItems")), no},
		}},
		{"'Action':'mediastore:?etObject'", []row{
			{"a question mark takes one character", request(), yes},
			{"a question mark takes not two", request(does("SweetObject")), no},
			{"a question mark takes not none", request(does("etObject")), no},
		}},
		{"'NotAction':'mediastore:PutObject'", []row{
			{"NotAction leaves out what it names", request(does("PutObject")), no},
			{"NotAction leaves it out in any case", request(does("putobject")), no},
			{"NotAction means everything else", request(does("DeleteObject")), yes},
		}},
		{"'NotAction':['mediastore:Put*','mediastore:Delete*']", []row{
			{"NotAction leaves out each of its list", request(does("DeleteObject")), no},
			{"NotAction with a list means the others", request(), yes},
		}},
	}
	decide(t, "2012-10-17", groups)
}

func TestResource(t *testing.T) {
	groups := []group{
		{"'Resource':'NAME/*'", []row{
			{"a star passes over slashes", request(on("/a/b/c.ts")), yes},
			{"a star takes the root of a list in its spelling with a slash", request(on("", "/")), yes},
			{"the container itself is not below it", request(on("")), no},
			{"a container whose name goes on is another one", request(on("2/a.ts")), no},
		}},
		{"'Resource':'NAME'", []row{
			{"the container's ARN is the container", request(on("")), yes},
			{"and the root of a list in its spelling without a slash", request(on("", "/")), yes},
			{"but no object in it", request(), no},
		}},
		{"'Resource':'*'", []row{
			{"a star alone is everything", request(), yes},
			{"a star alone is the container, too", request(on("")), yes},
		}},
		{"'Resource':'NAME/ch1/*.m3u8'", []row{
			{"a star in the middle takes what is there", request(), yes},
			{"a star in the middle takes folders", request(on("/ch1/a/b.m3u8")), yes},
			{"what follows a star must be there", request(on("/ch1/a.ts")), no},
			{"what comes before a star must be there", request(on("/ch2/index.m3u8")), no},
			{"the case of a path matters", request(on("/CH1/index.m3u8")), no},
			{"what follows a star must be at the end", request(on("/ch1/a.m3u8.bak")), no},
		}},
		{"'Resource':'NAME/ch?/index.m3u8'", []row{
			{"a question mark in a path takes one character", request(), yes},
			{"a question mark in a path takes one that is not ASCII", request(on("/chß/index.m3u8")), yes},
			{"a question mark in a path takes a slash", request(on("/ch//index.m3u8")), yes},
			{"a question mark in a path takes not two", request(on("/ch10/index.m3u8")), no},
		}},
		{"'Resource':'NAME/*??'", []row{
			{"a star does not cut a character in two", request(on("/€")), no},
			{"two characters are two, however many bytes they have", request(on("/€é")), yes},
		}},
		{"'Resource':['NAME/ch1/*','NAME/ch2/*']", []row{
			{"any resource of a list is enough", request(on("/ch2/a.ts")), yes},
			{"a resource in no list is not meant", request(on("/ch3/a.ts")), no},
		}},
		{"'NotResource':'NAME/private/*'", []row{
			{"NotResource leaves out what it names", request(on("/private/a.ts")), no},
			{"NotResource means everything else", request(), yes},
			{"NotResource leaves out what it names in any of its spellings", request(on("/private", "/private/")), no},
		}},
		{"'NotResource':['NAME/a/*','NAME/b/*']", []row{
			{"NotResource leaves out each of its list", request(on("/b/x")), no},
			{"NotResource with a list means the others", request(on("/c/x")), yes},
		}},
	}
	decide(t, "2012-10-17", groups)
}

func TestVariables(t *testing.T) {
	alice := with("aws:username", "alice")
	groups := []group{
		{"'Resource':'NAME/home/${aws:UserName}/*'", []row{
			{"a variable stands for the value of its key", request(alice, on("/home/alice/a.ts")), yes},
			{"a variable stands for no other value", request(alice, on("/home/bob/a.ts")), no},
			{"a variable without its key matches nothing", request(on("/home//a.ts")), no},
			{"a star in a variable's value is no wildcard", request(with("aws:username", "*"), on("/home/bob/a.ts")), no},
			{"a variable whose key has two values matches nothing",
				request(with("aws:username", "alice", "bob"), on("/home/alice/a.ts")), no},
		}},
		{"'NotResource':'NAME/home/${aws:username}/*'", []row{
			{"a variable in NotResource leaves out its value", request(alice, on("/home/alice/a.ts")), no},
			{"a variable in NotResource means the others", request(alice), yes},
			{"a variable in NotResource without its key matches nothing", request(), no},
		}},
		{"'Resource':['NAME/open/*','NAME/${aws:nonsense}/*']", []row{
			{"an unknown variable makes the whole statement match nothing", request(on("/open/a.ts")), no},
		}},
		{"'Resource':'NAME/a${*}b${?}c${$}{x}'", []row{
			{"escaped characters are themselves", request(on("/a*b?c${x}")), yes},
			{"an escaped star is no wildcard", request(on("/axb?c${x}")), no},
			{"an escaped question mark is no wildcard", request(on("/a*bxc${x}")), no},
		}},
		{"'Condition':{'StringEquals':{'aws:PrincipalAccount':'${aws:SourceAccount}'}}", []row{
			{"a value may be another key's", request(with("aws:PrincipalAccount", "1"), with("aws:SourceAccount", "1")), yes},
			{"a value that is another key's must be equal", request(with("aws:PrincipalAccount", "1"), with("aws:SourceAccount", "2")), no},
		}},
		{"'Condition':{'StringNotEquals':{'aws:username':'${aws:userid}'}}", []row{
			{"a variable without its key is no difference", request(alice), no},
			{"a variable with its key is one", request(alice, with("aws:userid", "bob")), yes},
		}},
		{"'Condition':{'StringLike':{'aws:Referer':'https://${aws:username}.example/*'}}", []row{
			{"variables and wildcards go together", request(alice, with("aws:Referer", "https://alice.example/x")), yes},
			{"and keep apart what belongs to whom", request(alice, with("aws:Referer", "https://bob.example/x")), no},
		}},
		{"'Condition':{'ArnLike':{'aws:SourceArn':'arn:aws:cloudfront::${aws:SourceAccount}:distribution/*'}}", []row{
			{"a variable may be part of an ARN", request(with("aws:SourceAccount", account),
				with("aws:SourceArn", "arn:aws:cloudfront::"+account+":distribution/E1")), yes},
			{"and must be equal there", request(with("aws:SourceAccount", "1"),
				with("aws:SourceArn", "arn:aws:cloudfront::"+account+":distribution/E1")), no},
		}},
		{"'Condition':{'Bool':{'aws:ViaAWSService':'${aws:SecureTransport}'}}", []row{
			{"a variable may be a truth value", request(with("aws:ViaAWSService", "true")), yes},
			{"and is compared as one", request(with("aws:ViaAWSService", "false")), no},
		}},
	}
	decide(t, "2012-10-17", groups)
	decide(t, "2008-10-17", []group{
		{"'Resource':'NAME/home/${aws:username}/*'", []row{
			{"the older version has no variables", request(alice, on("/home/alice/a.ts")), no},
			{"the older version takes them as they are written", request(on("/home/${aws:username}/a.ts")), yes},
		}},
		{"'Condition':{'StringEquals':{'aws:Referer':'${*}'}}", []row{
			{"the older version has no escapes", request(with("aws:Referer", "*")), no},
		}},
	})
}
