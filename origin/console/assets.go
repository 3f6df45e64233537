package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

// dist holds the players when web/build.mjs has put them there before the build, and a placeholder at any time.
//
//go:embed all:web/dist
var dist embed.FS

// cdnOrigin serves the files of npm packages. The page takes the players from there when the binary has none.
const cdnOrigin = "https://cdn.jsdelivr.net"

// player is one line of web/players.json: a file of an npm package at an exact version.
type player struct {
	File      string `json:"file"`
	Package   string `json:"package"`
	Version   string `json:"version"`
	Path      string `json:"path"`
	Integrity string `json:"integrity"` // Subresource Integrity of the file
}

// script is one script element.
type script struct {
	URL       string
	Integrity string // empty for our own
}

// asset is a file that the page loads.
type asset struct {
	body []byte
	etag string
}

// loadAssets reads what the page loads, and decides where the players come from: all from the binary or all from the CDN.
func (c *console) loadAssets(built fs.FS) error {
	c.assets = map[string]asset{}
	for _, name := range []string{"console.css", "console.js"} {
		b, err := fs.ReadFile(web, "web/"+name)
		if err != nil {
			return fmt.Errorf("console: %w", err)
		}
		c.assets[name] = newAsset(b)
	}
	list, err := fs.ReadFile(web, "web/players.json")
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	var players []player
	if err := json.Unmarshal(list, &players); err != nil {
		return fmt.Errorf("console: players.json: %w", err)
	}
	own := map[string]asset{}
	for _, p := range players {
		if b, err := fs.ReadFile(built, "web/dist/"+p.File); err == nil {
			own[p.File] = newAsset(b)
		}
	}
	c.cdn = len(own) < len(players)
	for _, p := range players {
		if c.cdn {
			c.players = append(c.players, script{cdnOrigin + "/npm/" + p.Package + "@" + p.Version + "/" + p.Path, p.Integrity})
			continue
		}
		c.assets[p.File] = own[p.File]
		c.players = append(c.players, script{URL: "assets/" + p.File})
	}
	return nil
}

func newAsset(b []byte) asset {
	sum := sha256.Sum256(b)
	return asset{body: b, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// serveAsset answers with a file that the page loads. The browser keeps it and asks whether it is still the same.
func (c *console) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := c.assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	c.secure(w, r)
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.etag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
}
