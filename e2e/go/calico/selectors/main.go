// Answers what Calico itself makes of selectors: the reference for our own evaluator.
//
// Without arguments it reads a question on each line of standard input, and answers each on a line of its own:
//
//	{"selector": "a == 'b'", "labels": [{"a": "b"}, {}]}
//	{"matches": [true, false]}        or, where it is no selector, {"error": "…"}
//
// With the path of Calico's own test of its parser it prints the tables in it as such questions, with the
// answers that they expect.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"strconv"

	"github.com/projectcalico/calico/libcalico-go/lib/selector"
)

type question struct {
	Selector string              `json:"selector"`
	Labels   []map[string]string `json:"labels"`
}

type answer struct {
	Error   string `json:"error,omitempty"`
	Matches []bool `json:"matches,omitempty"`
}

type expectation struct {
	question
	answer
	SameAs *string `json:"sameAs,omitempty"`
}

func main() {
	var err error
	if len(os.Args) > 1 {
		err = tables(os.Args[1], os.Stdout)
	} else {
		err = answers(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answers(in io.Reader, out io.Writer) error {
	questions := json.NewDecoder(bufio.NewReaderSize(in, 1<<16))
	buffered := bufio.NewWriterSize(out, 1<<16)
	told := json.NewEncoder(buffered)
	for {
		var asked question
		if err := questions.Decode(&asked); err == io.EOF {
			return buffered.Flush()
		} else if err != nil {
			return err
		}
		if err := told.Encode(evaluate(asked)); err != nil {
			return err
		}
	}
}

func evaluate(asked question) answer {
	parsed, err := selector.Parse(asked.Selector)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var found answer
	for _, labels := range asked.Labels {
		found.Matches = append(found.Matches, parsed.Evaluate(labels))
	}
	return found
}

// tables prints the selectors that match and do not, those that are refused, and those that mean the same.
func tables(path string, out io.Writer) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return err
	}
	told := json.NewEncoder(out)
	for name, rows := range composites(file) {
		for _, row := range rows {
			var known expectation
			switch name {
			case "selectorTests":
				fields := row.(*ast.CompositeLit).Elts
				known.Selector = text(fields[0])
				for i, matches := range []bool{true, false} {
					for _, labels := range fields[i+1].(*ast.CompositeLit).Elts {
						known.Labels = append(known.Labels, pairs(labels.(*ast.CompositeLit)))
						known.Matches = append(known.Matches, matches)
					}
				}
			case "badSelectors":
				known.Selector, known.Error = text(row), "refused"
			case "canonicalisationTests":
				fields := row.(*ast.CompositeLit).Elts
				same := text(fields[1])
				known.Selector, known.SameAs = text(fields[0]), &same
			}
			if err := told.Encode(known); err != nil {
				return err
			}
		}
	}
	return nil
}

func composites(file *ast.File) map[string][]ast.Expr {
	found := map[string][]ast.Expr{"selectorTests": nil, "badSelectors": nil, "canonicalisationTests": nil}
	ast.Inspect(file, func(node ast.Node) bool {
		if value, ok := node.(*ast.ValueSpec); ok && len(value.Values) == 1 {
			_, wanted := found[value.Names[0].Name]
			if rows, ok := value.Values[0].(*ast.CompositeLit); ok && wanted {
				found[value.Names[0].Name] = rows.Elts
			}
		}
		return true
	})
	return found
}

func pairs(labels *ast.CompositeLit) map[string]string {
	found := map[string]string{}
	for _, pair := range labels.Elts {
		both := pair.(*ast.KeyValueExpr)
		found[text(both.Key)] = text(both.Value)
	}
	return found
}

func text(literal ast.Expr) string {
	value, err := strconv.Unquote(literal.(*ast.BasicLit).Value)
	if err != nil {
		panic(err)
	}
	return value
}
