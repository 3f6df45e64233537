package demux

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// bitList is a bit stream under construction.
type bitList []byte

func (l *bitList) u(n int, v uint64) {
	for n--; n >= 0; n-- {
		*l = append(*l, byte(v>>n&1))
	}
}

func (l *bitList) ue(values ...uint64) {
	for _, v := range values {
		n := bits.Len64(v + 1)
		l.u(2*n-1, v+1)
	}
}

// nal returns the bits as a NAL unit, with what keeps start codes out of it.
func (l bitList) nal() (out []byte) {
	l = append(l, 1)
	for len(l)%8 != 0 {
		l = append(l, 0)
	}
	zeros := 0
	for i := 0; i < len(l); i += 8 {
		b := byte(0)
		for _, bit := range l[i : i+8] {
			b = b<<1 | bit
		}
		if zeros == 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if zeros++; b != 0 {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

// TestCodedPictureBuffersAreCountedBeforeTheyAreMade: the library makes as many as an H.264 SPS claims.
func TestCodedPictureBuffersAreCountedBeforeTheyAreMade(t *testing.T) {
	plain := func(l *bitList) { l.u(32, 0x674d0028); l.ue(0, 0) }
	high := func(l *bitList) {
		l.u(32, 0x67640028)
		l.ue(0, 1, 0, 0)
		l.u(1, 0)
		l.u(1, 0)
		l.ue(0)
	}
	scaled := func(l *bitList) {
		l.u(32, 0x67f40028)
		l.ue(0, 3)
		l.u(1, 0)
		l.ue(0, 0)
		l.u(2, 1)
		for i := range 12 {
			switch i {
			case 0: // 16 differences of 0
				l.u(1, 1)
				for range 16 {
					l.ue(0)
				}
			case 7: // ends at once: next scale is 0
				l.u(1, 1)
				l.ue(16)
			default:
				l.u(1, 0)
			}
		}
		l.ue(0)
	}
	order := map[string]func(*bitList){
		"order 0": func(l *bitList) { l.ue(0, 0) },
		"order 1": func(l *bitList) { l.ue(1); l.u(1, 0); l.ue(3, 5, 2, 7, 9) },
		"order 2": func(l *bitList) { l.ue(2) },
	}
	size := map[string]func(*bitList){
		"whole":   func(l *bitList) { l.ue(1); l.u(1, 0); l.ue(19, 11); l.u(3, 0b110) },
		"cropped": func(l *bitList) { l.ue(1); l.u(1, 0); l.ue(19, 11); l.u(4, 0b0111); l.ue(0, 0, 0, 1) },
	}
	vui := map[string]func(*bitList){
		"bare": func(l *bitList) { l.u(4, 0) },
		"full": func(l *bitList) {
			l.u(9, 1<<8|255)
			l.u(32, 4<<16|3)
			l.u(2, 0b11)
			l.u(6, 0b101011)
			l.u(24, 0x010101)
			l.u(1, 1)
			l.ue(1, 1)
		},
	}
	sps := func(parts []func(*bitList), nal, vcl int64) []byte {
		var l bitList
		for _, p := range parts {
			p(&l)
		}
		l.u(1, 1)
		l.u(32, 1)
		l.u(32, 50)
		l.u(1, 1)
		for _, count := range []int64{nal, vcl} {
			if count < 0 {
				l.u(1, 0)
				continue
			}
			l.u(1, 1)
			l.ue(uint64(count))
			l.u(8, 0x35)
			for range min(count, 40) + 1 {
				l.ue(1000, 2000)
				l.u(1, 1)
			}
			l.u(20, 0x12345)
		}
		if nal >= 0 || vcl >= 0 {
			l.u(1, 0)
		}
		l.u(2, 0b01) // pic_struct_present_flag, bitstream_restriction_flag
		l.u(1, 1)
		l.ue(0, 0, 10, 10, 3, 4)
		return l.nal()
	}
	for profile, head := range map[string]func(*bitList){"main": plain, "high": high, "scaled": scaled} {
		for on, o := range order {
			for sn, s := range size {
				for vn, v := range vui {
					present := func(l *bitList) { l.u(1, 1) }
					parts := []func(*bitList){head, o, s, present, v}
					t.Run(profile+", "+on+", "+sn+", "+vn, func(t *testing.T) {
						for _, counts := range [][2]int64{{-1, -1}, {0, -1}, {31, 2}, {-1, 31}} {
							var e entry
							require.NoError(t, e.avcPicture(sps(parts, counts[0], counts[1])))
							require.Equal(t, 320, e.width)
							require.Equal(t, media.Ratio{Num: 25, Den: 1}, e.frameRate)
							if on != "order 2" {
								require.Equal(t, 3, e.reorder, "which stands behind the buffers")
							}
						}
						for _, counts := range [][2]int64{{32, -1}, {1 << 30, 1}, {1, 1 << 31}, {-1, 1<<62 - 1}} {
							var e entry
							require.ErrorContains(t, e.avcPicture(sps(parts, counts[0], counts[1])), "cpb_cnt_minus1")
						}
					})
				}
			}
		}
	}
}
