package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// BucketOptions say where an S3 store is and who asks it.
type BucketOptions struct {
	Endpoint  string // of a store that is not AWS's; "": AWS's
	Region    string
	Key       aws.Credentials // without one requests are not signed
	PathStyle bool            // the bucket is in the path, not in the host's name
}

// Bucket is an S3 bucket, or what has a prefix in one.
type Bucket struct {
	client *s3.Client
	name   string
	prefix string // "", or with a slash at its end
}

// IsBucket reports whether an argument is the address of a bucket.
func IsBucket(address string) bool { return strings.HasPrefix(address, "s3://") }

// NewBucket returns the bucket at s3://bucket or s3://bucket/prefix.
func NewBucket(address string, opt BucketOptions) (*Bucket, error) {
	name, prefix, _ := strings.Cut(strings.TrimPrefix(address, "s3://"), "/")
	if name == "" {
		return nil, errors.New("the address of a bucket is s3://bucket or s3://bucket/prefix")
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	o := s3.Options{Region: opt.Region, UsePathStyle: opt.PathStyle,
		// Other stores know none of the newer checksums.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if opt.Endpoint != "" {
		if u, err := url.Parse(opt.Endpoint); err != nil || u.Host == "" {
			return nil, errors.New("the endpoint of an S3 store is a URL")
		}
		o.BaseEndpoint = &opt.Endpoint
	}
	o.Credentials = aws.AnonymousCredentials{}
	if opt.Key.AccessKeyID != "" {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return opt.Key, nil })
	}
	return &Bucket{client: s3.New(o), name: name, prefix: prefix}, nil
}

// Check is part of Place: S3 takes what a container takes.
func (b *Bucket) Check(string) error { return nil }

// List is part of Place. Empty objects whose keys end in a slash are what consoles make for folders, and are not yielded.
func (b *Bucket) List(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &b.prefix})
		for pages.HasMorePages() {
			p, err := pages.NextPage(ctx)
			if err != nil {
				yield(Entry{Path: ""}, fmt.Errorf("list: %w", err))
				return
			}
			for _, o := range p.Contents {
				key, size := aws.ToString(o.Key), aws.ToInt64(o.Size)
				if strings.HasSuffix(key, "/") && size == 0 {
					continue
				}
				if !yield(Entry{strings.TrimPrefix(key, b.prefix), size, aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

// Stat is part of Place.
func (b *Bucket) Stat(ctx context.Context, path string) (Entry, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + path)})
	var missing *types.NotFound
	if errors.As(err, &missing) {
		return Entry{}, ErrNotFound
	}
	if err != nil {
		return Entry{}, err
	}
	return Entry{path, aws.ToInt64(out.ContentLength), aws.ToTime(out.LastModified)}, nil
}

// Open is part of Place.
func (b *Bucket) Open(ctx context.Context, path string) (*Object, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + path)})
	if err != nil {
		return nil, err
	}
	attrs := Attrs{aws.ToString(out.ContentType), aws.ToString(out.CacheControl), aws.ToString(out.ContentEncoding)}
	return &Object{Entry{path, aws.ToInt64(out.ContentLength), aws.ToTime(out.LastModified)}, attrs, out.Body}, nil
}

// Write is part of Place. The body is sent once, as it comes: its hash is not known before.
func (b *Bucket) Write(ctx context.Context, o *Object) error {
	if o.Size < 0 {
		return errors.New("it is still being written")
	}
	in := &s3.PutObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + o.Path), Body: o.Body, ContentLength: &o.Size,
		ContentType: set(o.ContentType), CacheControl: set(o.CacheControl), ContentEncoding: set(o.ContentEncoding)}
	_, err := b.client.PutObject(ctx, in, s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware),
		func(o *s3.Options) { o.RetryMaxAttempts = 1 }) // the body cannot be read again
	return err
}

// set returns nil for what is unset.
func set(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
