package demux

import "strings"

// iso639 pairs the codes of ISO 639-2/T (and the B codes that differ) with those of ISO 639-1, which BCP 47 prefers.
const iso639 = `aar aa abk ab afr af aka ak alb sq amh am ara ar arg an arm hy asm as ava av ave ae aym ay aze az bak ba bam bm
baq eu bel be ben bn bih bh bis bi bod bo bos bs bre br bul bg bur my cat ca ces cs cha ch che ce chi zh chu cu chv cv cor kw cos co
cre cr cym cy cze cs dan da deu de div dv dut nl dzo dz ell el eng en epo eo est et eus eu ewe ee fao fo fas fa fij fj fin fi fra fr
fre fr fry fy ful ff geo ka ger de gla gd gle ga glg gl glv gv gre el grn gn guj gu hat ht hau ha hbs sh heb he her hz hin hi hmo ho
hrv hr hun hu hye hy ibo ig ice is ido io iii ii iku iu ile ie ina ia ind id ipk ik isl is ita it jav jv jpn ja kal kl kan kn kas ks
kat ka kau kr kaz kk khm km kik ki kin rw kir ky kom kv kon kg kor ko kua kj kur ku lao lo lat la lav lv lim li lin ln lit lt ltz lb
lub lu lug lg mac mk mah mh mal ml mao mi mar mr may ms mkd mk mlg mg mlt mt mon mn mri mi msa ms mya my nau na nav nv nbl nr nde nd
ndo ng nep ne nld nl nno nn nob nb nor no nya ny oci oc oji oj ori or orm om oss os pan pa per fa pli pi pol pl por pt pus ps que qu
roh rm ron ro rum ro run rn rus ru sag sg san sa sin si slk sk slo sk slv sl sme se smo sm sna sn snd sd som so sot st spa es sqi sq
srd sc srp sr ssw ss sun su swa sw swe sv tah ty tam ta tat tt tel te tgk tg tgl tl tha th tib bo tir ti ton to tsn tn tso ts tuk tk
tur tr twi tw uig ug ukr uk urd ur uzb uz ven ve vie vi vol vo wel cy wln wa wol wo xho xh yid yi yor yo zha za zho zh zul zu `

// languageTag returns the BCP 47 tag for a three-letter code, empty for "und" and for what is no code.
func languageTag(code string) string {
	if len(code) != 3 {
		return ""
	}
	return Language(code)
}

// Language returns the BCP 47 tag of what encoders write for a language: such a tag, or a code of ISO 639 of two or three
// letters. The language has its shortest code, as BCP 47 wants it (RFC 5646 2.2.1), so that "deu", "ger" and "de" are one. It
// is "" for "und" and for what is none.
func Language(tag string) string {
	code, rest, more := strings.Cut(cleanTag(tag), "-")
	code = strings.ToLower(code)
	if len(code) < 2 || len(code) > 3 || code == "und" || strings.ContainsAny(code, "0123456789") {
		return ""
	}
	for i := 0; i+7 <= len(iso639); i += 7 {
		if iso639[i:i+3] == code {
			code = iso639[i+4 : i+6]
			break
		}
	}
	if more {
		return code + "-" + rest
	}
	return code
}

// cleanTag returns tag when it has the form of a BCP 47 tag, else "".
func cleanTag(tag string) string {
	if len(tag) < 2 || len(tag) > 35 || strings.EqualFold(tag, "und") {
		return ""
	}
	for _, part := range strings.Split(tag, "-") {
		if len(part) < 1 || len(part) > 8 {
			return ""
		}
		for _, c := range []byte(part) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
				return ""
			}
		}
	}
	return tag
}

// packLanguage returns a three-letter code as mdhd stores it, "und" for what is none.
func packLanguage(code string) (v uint16) {
	if len(code) != 3 {
		return undetermined
	}
	for _, c := range []byte(code) {
		if c < 'a' || c > 'z' {
			return undetermined
		}
		v = v<<5 | uint16(c-0x60)
	}
	return v
}
