// Verifies a transparency log with Go's own golang.org/x/mod/sumdb/note and sumdb/tlog, which nobody here wrote.
//
//	verify PUBLIC KEYS EVIDENCE...
//
// PUBLIC is the log's public directory, KEYS a file of verifiers, a line each: all of them must have signed the newest
// checkpoint, and nothing else is trusted of that directory. Each EVIDENCE is a directory of what the log gave out while it
// grew: `keys`, all of which must have signed all of it, `receipt-*`, `checkpoint-*`, and `consistency-*`: an old and a new
// size, and the hashes of the proof, a line each.
//
// Prints what was verified as JSON. Ends with code 1 and one line, whose first word is what was refused.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// refusal ends the program.
type refusal struct {
	what string
	err  error
}

func refuse(what string, err error) {
	if err != nil {
		panic(refusal{what, err})
	}
}

func refuseIf(wrong bool, what, rule string) {
	if wrong {
		refuse(what, errors.New(rule))
	}
}

func main() {
	defer func() {
		switch end := recover().(type) {
		case nil:
		case refusal:
			fmt.Printf("%s: %v\n", end.what, end.err)
			os.Exit(1)
		default:
			panic(end)
		}
	}()
	public, keys := os.Args[1], readKeys(os.Args[2])
	log := openLog(public, keys)
	count := map[string]int{"leaves": int(log.tree.N)}
	trees := map[int64]tlog.Hash{log.tree.N: log.tree.Hash}
	see := func(tree tlog.Tree) {
		if seen, ok := trees[tree.N]; ok {
			refuseIf(seen != tree.Hash, "fork", "two checkpoints of one size")
		}
		trees[tree.N] = tree.Hash
	}
	for _, evidence := range os.Args[3:] {
		keys := readKeys(filepath.Join(evidence, "keys"))
		each(evidence, "receipt-*", func(text string) {
			see(log.checkReceipt(text, keys))
			count["receipts"]++
		})
		each(evidence, "checkpoint-*", func(text string) {
			see(openCheckpoint(text, keys))
			count["checkpoints"]++
		})
		each(evidence, "consistency-*", func(text string) {
			checkConsistency(text, trees)
			count["consistency"]++
		})
	}
	count["trees"] = len(trees)
	log.checkGrowth(trees)
	line, err := json.Marshal(count)
	refuse("output", err)
	fmt.Println(string(line))
}

func read(path string) string {
	text, err := os.ReadFile(path)
	refuse("file", err)
	return string(text)
}

func each(directory, pattern string, use func(string)) {
	paths, err := filepath.Glob(filepath.Join(directory, pattern))
	refuse("file", err)
	for _, path := range paths {
		use(read(path))
	}
}

func readKeys(path string) []note.Verifier {
	var keys []note.Verifier
	for _, line := range strings.Fields(read(path)) {
		key, err := note.NewVerifier(line)
		refuse("key", err)
		keys = append(keys, key)
	}
	return keys
}

func hash(text string) (hash tlog.Hash, err error) {
	bytes, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && len(bytes) != len(hash) {
		err = errors.New("a hash has 32 bytes")
	}
	copy(hash[:], bytes)
	return hash, err
}

func number(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (number < 0 || strconv.FormatInt(number, 10) != text) {
		err = errors.New("not a plain decimal number")
	}
	return number, err
}

// openCheckpoint opens a checkpoint that all these keys have signed.
func openCheckpoint(text string, keys []note.Verifier) tlog.Tree {
	opened, err := note.Open([]byte(text), note.VerifierList(keys...))
	refuse("checkpoint", err)
	refuseIf(len(opened.Sigs) != len(keys), "checkpoint", "a signature is missing")
	lines := strings.Split(opened.Text, "\n")
	refuseIf(len(lines) != 4 || lines[3] != "", "checkpoint", "not three lines")
	refuseIf(lines[0] != keys[0].Name(), "checkpoint", "another log's origin")
	size, err := number(lines[1])
	refuse("checkpoint", err)
	root, err := hash(lines[2])
	refuse("checkpoint", err)
	return tlog.Tree{N: size, Hash: root}
}

// log is what its public files say, under its newest checkpoint.
type log struct {
	tree    tlog.Tree
	reader  tlog.HashReader
	entries [][]byte
}

func openLog(public string, keys []note.Verifier) *log {
	tree := openCheckpoint(read(filepath.Join(public, "checkpoint")), keys)
	log := &log{tree: tree, reader: tlog.TileHashReader(tree, tiles{public})}
	var stored hashes
	for n := int64(0); n < tree.N; n += 256 {
		width := min(tree.N-n, 256)
		bundle, err := os.ReadFile(filepath.Join(public, path(tlog.Tile{H: 8, L: -1, N: n / 256, W: int(width)})))
		refuse("entry", err)
		for i := n; i < n+width; i++ {
			refuseIf(len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)), "entry", "the bundle ends early")
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			more, err := tlog.StoredHashes(i, bundle[2:end], stored)
			refuse("entry", err)
			stored = append(stored, more...)
			log.entries = append(log.entries, bundle[2:end])
			bundle = bundle[end:]
		}
		refuseIf(len(bundle) > 0, "entry", "the bundle goes on")
	}
	root, err := tlog.TreeHash(tree.N, stored)
	refuse("entry", err)
	refuseIf(root != tree.Hash, "entry", "the entries have another root than the checkpoint")

	// TileHashReader would find most of these too, but v0.7.0 leaves the first tiles below the head unverified.
	all := tlog.NewTiles(8, 0, tree.N)
	for i, tile := range all {
		// Of partial tiles the widest, which comes last, is always there.
		if i+1 < len(all) && all[i+1].L == tile.L && all[i+1].N == tile.N {
			continue
		}
		right, err := tlog.ReadTileData(tile, stored)
		refuse("tile", err)
		found, err := os.ReadFile(filepath.Join(public, path(tile)))
		refuse("tile", err)
		refuseIf(!bytes.Equal(found, right), "tile", "not the hashes of the entries")
	}
	root, err = tlog.TreeHash(tree.N, log.reader)
	refuse("tile", err)
	refuseIf(root != tree.Hash, "tile", "another root")
	return log
}

// hashes are those of all nodes, in the order of tlog.StoredHashIndex.
type hashes []tlog.Hash

func (hashes hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, hashes[index])
	}
	return found, nil
}

// checkReceipt verifies a tlog-proof by itself, and that the log has its entry. Gives the tree of its checkpoint.
func (log *log) checkReceipt(text string, keys []note.Verifier) tlog.Tree {
	head, checkpoint, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	refuseIf(len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1", "receipt", "not a tlog-proof")
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	digits, isIndex := strings.CutPrefix(lines[2], "index ")
	refuseIf(!isExtra || !isIndex, "receipt", "no extra line, or no index")
	salted, err := base64.StdEncoding.Strict().DecodeString(extra)
	refuse("receipt", err)
	index, err := number(digits)
	refuse("receipt", err)
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		node, err := hash(line)
		refuse("proof", err)
		proof = append(proof, node)
	}
	tree := openCheckpoint(checkpoint, keys)
	entry := sha256.Sum256(salted)
	leaf := tlog.RecordHash(entry[:])
	refuse("proof", tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf))

	refuseIf(index >= log.tree.N || !bytes.Equal(log.entries[index], entry[:]), "entry", "the log has another one")
	rebuilt, err := tlog.ProveRecord(log.tree.N, index, log.reader)
	refuse("tile", err)
	refuse("tile", tlog.CheckRecord(rebuilt, log.tree.N, log.tree.Hash, index, leaf))
	return tree
}

// checkConsistency verifies a proof that the log's side has made, between two trees that were seen.
func checkConsistency(text string, trees map[int64]tlog.Hash) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	refuseIf(len(lines) < 2, "consistency", "no sizes")
	old, err := number(lines[0])
	refuse("consistency", err)
	new, err := number(lines[1])
	refuse("consistency", err)
	oldRoot, sawOld := trees[old]
	newRoot, sawNew := trees[new]
	refuseIf(!sawOld || !sawNew, "consistency", "no such checkpoint was seen")
	var proof tlog.TreeProof
	for _, line := range lines[2:] {
		node, err := hash(line)
		refuse("consistency", err)
		proof = append(proof, node)
	}
	refuse("consistency", tlog.CheckTree(proof, new, newRoot, old, oldRoot))
}

// checkGrowth verifies that each tree that was seen grew out of the one before, by proofs made of the tiles.
func (log *log) checkGrowth(trees map[int64]tlog.Hash) {
	var sizes []int64
	for size := range trees {
		sizes = append(sizes, size)
	}
	sort.Slice(sizes, func(i, j int) bool { return sizes[i] < sizes[j] })
	last := sizes[len(sizes)-1]
	refuseIf(last > log.tree.N, "fork", "a checkpoint over more leaves than there are")
	if sizes[0] == 0 {
		refuseIf(trees[0] != sha256.Sum256(nil), "fork", "no leaves have another root")
		sizes = sizes[1:]
	}
	for i, old := range sizes {
		for _, new := range []int64{sizes[min(i+1, len(sizes)-1)], last} {
			proof, err := tlog.ProveTree(new, old, log.reader)
			refuse("tile", err)
			refuse("fork", tlog.CheckTree(proof, new, trees[new], old, trees[old]))
		}
	}
}

// path is x/mod's name of a tile without its height, and with the specification's word for entries.
func path(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), "tile/8/")
	if data, ok := strings.CutPrefix(rest, "data/"); ok {
		rest = "entries/" + data
	}
	return filepath.Join("tile", rest)
}

// tiles reads the files of a log, as its clients do.
type tiles struct{ public string }

func (tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		bytes, err := os.ReadFile(filepath.Join(t.public, path(tile)))
		if err != nil {
			return nil, err
		}
		all = append(all, bytes)
	}
	return all, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
