using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>Kinds of <see cref="Instruction"/>.</summary>
internal enum Op
{
    /// <summary>Takes one code point of the set.</summary>
    One,

    /// <summary>Takes Min to Max code points of the set, most first.</summary>
    Loop,

    /// <summary>As Loop, but never gives one back.</summary>
    PossessiveLoop,

    /// <summary>Goes on at Target; on failure at Other.</summary>
    Split,

    /// <summary>Goes on at Target.</summary>
    Jump,

    /// <summary>Tests the text from here with the program behind Target, then goes on at Other.</summary>
    Look,

    /// <summary>Takes the first match of the program behind Target, then goes on at Other.</summary>
    Atomic,

    /// <summary>Tests the position.</summary>
    At,

    /// <summary>Remembers the position in register Min.</summary>
    Mark,

    /// <summary>Leaves a loop to Target if nothing was taken since Mark of register Min.</summary>
    Progress,

    /// <summary>A match of this program or subprogram.</summary>
    Match,
}

/// <summary>One step of a compiled pattern; which fields count depends on <paramref name="Op"/>.</summary>
internal sealed record Instruction(Op Op)
{
    /// <summary>Characters of One and the loops.</summary>
    public CodePointSet Set { get; init; } = CodePointSet.Empty;

    /// <summary>Next instruction, or the start of a subprogram.</summary>
    public int Target { get; set; }

    /// <summary>Second choice of Split; where to go on after a subprogram.</summary>
    public int Other { get; set; }

    /// <summary>Fewest repetitions, shortest distance of a lookbehind, or a register.</summary>
    public int Min { get; init; }

    /// <summary>Most repetitions, or longest distance of a lookbehind.</summary>
    public int Max { get; init; }

    /// <summary>Whether Look goes to the left.</summary>
    public bool Behind { get; init; }

    /// <summary>Whether Look must fail.</summary>
    public bool Negative { get; init; }

    /// <summary>What At asks for.</summary>
    public PositionTest Test { get; init; }
}

/// <summary>Turns a syntax tree into instructions for <see cref="PatternMatcher"/>.</summary>
internal sealed class PatternCompiler
{
    // Nested counts such as ((a{1000}){1000}){1000} multiply; nothing real comes near this.
    private const int MaxInstructions = 50_000;
    private readonly List<Instruction> _code = [];
    private readonly string _where;

    private PatternCompiler(string where) => _where = where;

    /// <summary>Registers that Mark and Progress use.</summary>
    public int Registers { get; private set; }

    /// <exception cref="MoeUnsupportedException">Counted repetitions make the program too long.</exception>
    public static (Instruction[] Code, int Registers) Compile(PatternNode node, string where)
    {
        var compiler = new PatternCompiler(where);
        compiler.Emit(node);
        compiler.Add(new Instruction(Op.Match));
        return ([.. compiler._code], compiler.Registers);
    }

    private Instruction Add(Instruction instruction)
    {
        if (_code.Count >= MaxInstructions)
            throw new MoeUnsupportedException("pattern with more than 50,000 steps after unrolling", _where);
        _code.Add(instruction);
        return instruction;
    }

    // Appends the instructions of a node; they fall through to what follows.
    private void Emit(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.One one:
                Add(new Instruction(Op.One) { Set = one.Set });
                break;
            case PatternNode.Folded folded:
                Emit(CaseFolding.Expand([folded.Char]));
                break;
            case PatternNode.Sequence sequence:
                foreach (var part in sequence.Parts)
                    Emit(part);
                break;
            case PatternNode.Either either:
                EmitEither(either);
                break;
            case PatternNode.Repeat repeat:
                EmitRepeat(repeat);
                break;
            case PatternNode.Look look:
                var (min, max) = look.Body.Width();
                EmitSub(look.Body, Add(new Instruction(Op.Look)
                {
                    Behind = look.Behind,
                    Negative = look.Negative,
                    Min = min,
                    Max = max,
                }));
                break;
            case PatternNode.Atomic atomic:
                EmitSub(atomic.Body, Add(new Instruction(Op.Atomic)));
                break;
            case PatternNode.At at:
                Add(new Instruction(Op.At) { Test = at.Test });
                break;
        }
    }

    // A subprogram stands right behind its caller and ends in a Match of its own.
    private void EmitSub(PatternNode body, Instruction caller)
    {
        caller.Target = _code.Count;
        Emit(body);
        Add(new Instruction(Op.Match));
        caller.Other = _code.Count;
    }

    // Split a, b: a; Jump end; b: ...; end. The first alternative is tried first.
    private void EmitEither(PatternNode.Either either)
    {
        var ends = new List<Instruction>();
        for (var i = 0; i < either.Alternatives.Count - 1; i++)
        {
            var split = Add(new Instruction(Op.Split) { Target = _code.Count + 1 });
            Emit(either.Alternatives[i]);
            ends.Add(Add(new Instruction(Op.Jump)));
            split.Other = _code.Count;
        }

        Emit(either.Alternatives[^1]);
        foreach (var end in ends)
            end.Target = _code.Count;
    }

    // Loops over one set are single instructions; others are unrolled up to their least count.
    private void EmitRepeat(PatternNode.Repeat repeat)
    {
        if (repeat.Body is PatternNode.One one && repeat.Kind != RepeatKind.Lazy)
        {
            var op = repeat.Kind == RepeatKind.Possessive ? Op.PossessiveLoop : Op.Loop;
            var max = repeat.Max < 0 ? int.MaxValue : repeat.Max;
            Add(new Instruction(op) { Set = one.Set, Min = repeat.Min, Max = max });
            return;
        }

        if (repeat.Kind == RepeatKind.Possessive)
        {
            EmitSub(repeat with { Kind = RepeatKind.Greedy }, Add(new Instruction(Op.Atomic)));
            return;
        }

        for (var i = 0; i < repeat.Min; i++)
            Emit(repeat.Body);
        var lazy = repeat.Kind == RepeatKind.Lazy;
        if (repeat.Max < 0)
            EmitUnlimited(repeat.Body, lazy);
        else
            EmitOptional(repeat.Body, repeat.Max - repeat.Min, lazy);
    }

    // start: Split body, exit; body; Jump start; exit.
    private void EmitUnlimited(PatternNode body, bool lazy)
    {
        var nullable = body.Width().Min == 0;
        var start = _code.Count;
        var split = AddSplit(lazy);
        Instruction? progress = null;
        if (nullable)
        {
            // A turn that takes nothing would go on for ever: it ends the loop instead.
            var register = Registers++;
            Add(new Instruction(Op.Mark) { Min = register });
            Emit(body);
            progress = Add(new Instruction(Op.Progress) { Min = register });
        }
        else
            Emit(body);
        Add(new Instruction(Op.Jump) { Target = start });
        SetExit(split, lazy);
        if (progress is not null)
            progress.Target = _code.Count;
    }

    // (body(body)?)? : every copy can leave to the same exit.
    private void EmitOptional(PatternNode body, int count, bool lazy)
    {
        var splits = new List<Instruction>();
        for (var i = 0; i < count; i++)
        {
            splits.Add(AddSplit(lazy));
            Emit(body);
        }

        foreach (var split in splits)
            SetExit(split, lazy);
    }

    // A lazy loop prefers to leave, a greedy one to go on.
    private Instruction AddSplit(bool lazy)
    {
        var split = Add(new Instruction(Op.Split));
        (split.Target, split.Other) = lazy ? (0, _code.Count) : (_code.Count, 0);
        return split;
    }

    // Fills in where a split leaves to, once that is known.
    private void SetExit(Instruction split, bool lazy)
    {
        if (lazy)
            split.Target = _code.Count;
        else
            split.Other = _code.Count;
    }
}
