package control

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTagsAreAddedReplacedAndRemoved(t *testing.T) {
	const resource = `'Resource':'ARN/harbor'`
	g := newRig(t).with("harbor")
	g.succeeds("ListTagsForResource", `{`+resource+`}`, `{'Tags':[]}`)
	g.does("TagResource", `{`+resource+`,'Tags':[{'Key':'team','Value':'live'},{'Key':'empty'},{'Key':'null','Value':null}]}`)
	g.does("TagResource", `{`+resource+`,'Tags':[{'Key':'team','Value':'vod'},{'Key':'Team','Value':'other'}]}`)
	g.succeeds("ListTagsForResource", `{`+resource+`}`,
		`{'Tags':[{'Key':'Team','Value':'other'},{'Key':'empty','Value':''},{'Key':'null','Value':''},{'Key':'team','Value':'vod'}]}`)
	g.does("UntagResource", `{`+resource+`,'TagKeys':['empty','null','never']}`)
	g.succeeds("ListTagsForResource", `{`+resource+`}`, `{'Tags':[{'Key':'Team','Value':'other'},{'Key':'team','Value':'vod'}]}`)
}

func TestTagsThatBreakARuleAreRefused(t *testing.T) {
	g := newRig(t).with("harbor")
	for _, c := range []struct{ tags, kind, text string }{
		{`[{'Value':'v'}]`, "ValidationException", "Tags.1.Key is required"},
		{`[{'Key':''}]`, "ValidationException", "a tag key has"},
		{`[{'Key':'a'},{'Key':'a;b'}]`, "ValidationException", "a tag key has"},
		{`[{'Key':'` + strings.Repeat("k", 129) + `'}]`, "ValidationException", "1 to 128"},
		{`[{'Key':'aws:x'}]`, "ValidationException", "reserved"},
		{`[{'Key':'a','Value':'` + strings.Repeat("v", 257) + `'}]`, "ValidationException", "at most 256"},
		{`{'Key':'a'}`, "SerializationException", "Tags has the wrong type"},
		{`[{'Key':7}]`, "SerializationException", "Tags.1.Key has the wrong type"},
		{`[null]`, "SerializationException", "Tags.1"},
	} {
		g.fails("TagResource", `{'Resource':'ARN/harbor','Tags':`+c.tags+`}`, c.kind, c.text)
		g.fails("CreateContainer", `{'ContainerName':'new','Tags':`+c.tags+`}`, c.kind, c.text)
	}
	g.succeeds("ListTagsForResource", `{'Resource':'ARN/harbor'}`, `{'Tags':[]}`)
	require.Len(t, g.registry.List(), 1)
}

func TestTagsAreOfTheContainerWithAnARN(t *testing.T) {
	g := newRig(t).with("harbor")
	for _, c := range []struct{ arn, kind string }{
		{"", "ValidationException"},
		{"harbor", "ValidationException"},
		{"arn:aws:s3:eu-west-1:" + accountID + ":container/harbor", "ValidationException"},
		{"arn:aws-cn:mediastore:eu-west-1:" + accountID + ":container/harbor", "ValidationException"},
		{"arn:aws:mediastore:eu-west-1:" + accountID + ":bucket/harbor", "ValidationException"},
		{"arn:aws:mediastore:eu-west-1:123:container/harbor", "ValidationException"},
		{"arn:aws:mediastore::" + accountID + ":container/harbor", "ValidationException"},
		{"arn:aws:mediastore:EU:" + accountID + ":container/harbor", "ValidationException"},
		{"ARN/", "ValidationException"},
		{"ARN/harbor/ch1", "ValidationException"},
		{"ARN/har bor", "ValidationException"},
		{"ARN/harbor:x", "ValidationException"},
		{"ARN/" + strings.Repeat("a", 1024), "ValidationException"},
		{"ARN/quay", "ContainerNotFoundException"},
		{"ARN/Harbor", "ContainerNotFoundException"},
		{"arn:aws:mediastore:us-east-1:" + accountID + ":container/harbor", "ContainerNotFoundException"},
		{"arn:aws:mediastore:eu-west-1:000000000000:container/harbor", "ContainerNotFoundException"},
	} {
		g.fails("ListTagsForResource", `{'Resource':'`+c.arn+`'}`, c.kind, "")
		g.fails("TagResource", `{'Resource':'`+c.arn+`','Tags':[{'Key':'a'}]}`, c.kind, "")
		g.fails("UntagResource", `{'Resource':'`+c.arn+`','TagKeys':['a']}`, c.kind, "")
	}
}
