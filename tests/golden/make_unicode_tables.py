"""Writes src/MoeKernels/Text/Unicode/unicode.bin from the text files of three Unicode versions.

    python3 make_unicode_tables.py UCD8 UCD9 UCD16 unicode.bin

UCD8, UCD9 and UCD16 are folders with UnicodeData.txt (and, for 16, PropList.txt, Scripts.txt, CaseFolding.txt and
emoji-data.txt) as published by the Unicode Consortium. Why three versions: the reference tokenizers decompose and
compose by Unicode 9, BERT's categories are those of Unicode 8, and its regular expressions are Unicode 16.

Format: records of (name length byte, ASCII name, count varint, payload of count varints).
  ranges  "p:NAME", "s:SCRIPT", "8:NAME", "9:NAME": gap from the previous end, length - 1, gap, length - 1, ...
  "9:decomposition": gap of the code point, 4 * length + 2 * excluded + compatibility, then the mapping's code points
  "9:ccc": gap, length - 1, class, ...
  "a:CODE=SCRIPT": another name of a script, without payload
  "f:simple": code point, folded; "f:full": code point, length, folded code points
"""
import sys
import unicodedata


# ISO 15924 codes of the scripts of Unicode 16 whose code is not their name (PropertyValueAliases.txt).
SCRIPT_CODES = """
Adlm=Adlam Aghb=Caucasian_Albanian Arab=Arabic Armi=Imperial_Aramaic Armn=Armenian Avst=Avestan
Bali=Balinese Bamu=Bamum Bass=Bassa_Vah Batk=Batak Beng=Bengali Bhks=Bhaiksuki Bopo=Bopomofo Brah=Brahmi
Brai=Braille Bugi=Buginese Buhd=Buhid Cakm=Chakma Cans=Canadian_Aboriginal Cari=Carian Cher=Cherokee
Chrs=Chorasmian Copt=Coptic Cpmn=Cypro_Minoan Cprt=Cypriot Cyrl=Cyrillic Deva=Devanagari Diak=Dives_Akuru
Dogr=Dogra Dsrt=Deseret Dupl=Duployan Egyp=Egyptian_Hieroglyphs Elba=Elbasan Elym=Elymaic Ethi=Ethiopic
Gara=Garay Geor=Georgian Glag=Glagolitic Gong=Gunjala_Gondi Gonm=Masaram_Gondi Goth=Gothic Gran=Grantha
Grek=Greek Gujr=Gujarati Gukh=Gurung_Khema Guru=Gurmukhi Hang=Hangul Hani=Han Hano=Hanunoo Hatr=Hatran
Hebr=Hebrew Hira=Hiragana Hluw=Anatolian_Hieroglyphs Hmng=Pahawh_Hmong Hmnp=Nyiakeng_Puachue_Hmong
Hung=Old_Hungarian Ital=Old_Italic Java=Javanese Kali=Kayah_Li Kana=Katakana Khar=Kharoshthi Khmr=Khmer
Khoj=Khojki Kits=Khitan_Small_Script Knda=Kannada Krai=Kirat_Rai Kthi=Kaithi Lana=Tai_Tham Laoo=Lao
Latn=Latin Lepc=Lepcha Limb=Limbu Lina=Linear_A Linb=Linear_B Lyci=Lycian Lydi=Lydian Mahj=Mahajani
Maka=Makasar Mand=Mandaic Mani=Manichaean Marc=Marchen Medf=Medefaidrin Mend=Mende_Kikakui
Merc=Meroitic_Cursive Mero=Meroitic_Hieroglyphs Mlym=Malayalam Mong=Mongolian Mroo=Mro Mtei=Meetei_Mayek
Mult=Multani Mymr=Myanmar Nagm=Nag_Mundari Nand=Nandinagari Narb=Old_North_Arabian Nbat=Nabataean Nkoo=Nko
Nshu=Nushu Ogam=Ogham Olck=Ol_Chiki Onao=Ol_Onal Orkh=Old_Turkic Orya=Oriya Osge=Osage Osma=Osmanya
Ougr=Old_Uyghur Palm=Palmyrene Pauc=Pau_Cin_Hau Perm=Old_Permic Phag=Phags_Pa Phli=Inscriptional_Pahlavi
Phlp=Psalter_Pahlavi Phnx=Phoenician Plrd=Miao Prti=Inscriptional_Parthian Rjng=Rejang Rohg=Hanifi_Rohingya
Runr=Runic Samr=Samaritan Sarb=Old_South_Arabian Saur=Saurashtra Sgnw=SignWriting Shaw=Shavian Shrd=Sharada
Sidd=Siddham Sind=Khudawadi Sinh=Sinhala Sogd=Sogdian Sogo=Old_Sogdian Sora=Sora_Sompeng Soyo=Soyombo
Sund=Sundanese Sunu=Sunuwar Sylo=Syloti_Nagri Syrc=Syriac Tagb=Tagbanwa Takr=Takri Tale=Tai_Le
Talu=New_Tai_Lue Taml=Tamil Tang=Tangut Tavt=Tai_Viet Telu=Telugu Tfng=Tifinagh Tglg=Tagalog Thaa=Thaana
Tibt=Tibetan Tirh=Tirhuta Tnsa=Tangsa Todr=Todhri Tutg=Tulu_Tigalari Ugar=Ugaritic Vaii=Vai Vith=Vithkuqi
Wara=Warang_Citi Wcho=Wancho Xpeo=Old_Persian Xsux=Cuneiform Yezi=Yezidi Yiii=Yi Zanb=Zanabazar_Square
Zinh=Inherited Zyyy=Common
"""


def unicode_data(folder):
    first = None
    for line in open(f"{folder}/UnicodeData.txt", encoding="utf-8"):
        fields = line.rstrip("\n").split(";")
        code = int(fields[0], 16)
        if fields[1].endswith(", First>"):
            first = code
            continue
        for c in range(first if first is not None else code, code + 1):
            yield c, fields
        first = None


def properties(path):
    sets = {}
    for line in open(path, encoding="utf-8"):
        line = line.split("#")[0].strip()
        if line:
            codes, name = [x.strip() for x in line.split(";")[:2]]
            low, _, high = codes.partition("..")
            sets.setdefault(name, set()).update(range(int(low, 16), int(high or low, 16) + 1))
    return sets


def ranges(codes):
    codes = sorted(codes)
    result, end, i = [], 0, 0
    while i < len(codes):
        j = i
        while j + 1 < len(codes) and codes[j + 1] == codes[j] + 1:
            j += 1
        result += [codes[i] - end, codes[j] - codes[i]]
        end, i = codes[j] + 1, j + 1
    return result


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(name, values):
    return bytes([len(name)]) + name.encode("ascii") + varint(len(values)) + b"".join(map(varint, values))


def main(ucd8, ucd9, ucd16, target):
    out = b""
    groups8 = {"other": set(), "mn": set(), "punctuation": set()}
    for code, fields in unicode_data(ucd8):
        category = fields[2]
        # Surrogates are no characters; unassigned code points are not "other" to the reference.
        if category in ("Cc", "Cf", "Co"):
            groups8["other"].add(code)
        elif category == "Mn":
            groups8["mn"].add(code)
        elif category.startswith("P"):
            groups8["punctuation"].add(code)
    for name, codes in groups8.items():
        out += record("8:" + name, ranges(codes))

    assigned, marks, decomposition, classes, last = set(), set(), [], [], 0
    for code, fields in unicode_data(ucd9):
        assigned.add(code)
        if fields[2].startswith("M"):
            marks.add(code)
        if fields[3] != "0":
            if classes and classes[-1][1] == code - 1 and classes[-1][2] == int(fields[3]):
                classes[-1][1] = code
            else:
                classes.append([code, code, int(fields[3])])
        if fields[5] and not fields[5].startswith("<control"):
            compatibility = fields[5].startswith("<")
            mapping = [int(x, 16) for x in fields[5].split() if not x.startswith("<")]
            # Composition exclusions: what canonical composition does not give back (stable since Unicode 3.1).
            char = chr(code)
            excluded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", char)) != char
            decomposition += [code - last, 4 * len(mapping) + 2 * excluded + compatibility] + mapping
            last = code
    flat, end = [], 0
    for low, high, value in classes:
        flat += [low - end, high - low, value]
        end = high + 1
    out += record("9:assigned", ranges(assigned))
    out += record("9:mark", ranges(marks)) + record("9:ccc", flat) + record("9:decomposition", decomposition)

    binary = properties(f"{ucd16}/PropList.txt") | properties(f"{ucd16}/emoji-data.txt")
    for prefix, sets in (("p:", binary), ("s:", properties(f"{ucd16}/Scripts.txt"))):
        for name, codes in sorted(sets.items()):
            out += record(prefix + name, ranges(codes))

    for pair in SCRIPT_CODES.split():
        out += record("a:" + pair, [])

    simple, full = [], []
    for line in open(f"{ucd16}/CaseFolding.txt", encoding="utf-8"):
        fields = [x.strip() for x in line.split("#")[0].split(";")]
        if len(fields) > 2 and fields[1] in "CSF":
            code, mapping = int(fields[0], 16), [int(x, 16) for x in fields[2].split()]
            if fields[1] == "F":
                full += [code, len(mapping)] + mapping
            else:
                simple += [code] + mapping
    out += record("f:simple", simple) + record("f:full", full)
    open(target, "wb").write(out)
    print(len(out), "bytes")


main(*sys.argv[1:])
