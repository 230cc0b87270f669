using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>Backtracking search of one text with a stack of its own and a limit on the work.</summary>
internal ref struct PatternMatcher
{
    // Oniguruma gives up a match after ten million retries; this limit also covers a whole text.
    private const long StepsPerMatch = 10_000_000;
    private const long StepsPerCharacter = 2_000;
    private const int MaxDepth = 2_000_000;

    private readonly Pattern _pattern;
    private readonly Instruction[] _code;
    private readonly ReadOnlySpan<int> _text;
    private readonly int[] _registers;
    // Ways not tried yet, newest last; shared by nested programs, each above a bottom of its own.
    private Choice[] _stack = new Choice[64];
    private int _depth;
    // Steps left for this text.
    private long _steps;
    // Where the search began, for \G.
    private int _searchStart;

    public PatternMatcher(Pattern pattern, ReadOnlySpan<int> text)
    {
        _pattern = pattern;
        _code = pattern.Code;
        _text = text;
        _registers = new int[pattern.Registers];
        _steps = StepsPerMatch + StepsPerCharacter * text.Length;
    }

    /// <summary>
    /// A way not tried yet: go on at instruction Target from Position, then from each position down to Lowest. A
    /// negative Target puts Position back into register ~Target.
    /// </summary>
    private readonly record struct Choice(int Target, int Position, int Lowest);

    /// <summary>Finds the leftmost match at or after a position; (-1, -1) if there is none.</summary>
    /// <exception cref="MoeUnsupportedException">The pattern needs too much backtracking on this text.</exception>
    public (int Start, int End) Find(int position)
    {
        _searchStart = position;
        for (var start = position; start <= _text.Length; start++)
        {
            if (_pattern.First is { } first)
            {
                while (start < _text.Length && !first.Contains(_text[start]))
                    start++;
                if (start == _text.Length)
                    break;
            }

            var end = Run(0, start, -1);
            if (end >= 0)
                return (start, end);
            if (_pattern.SkipsRuns)
            {
                while (start + 1 < _text.Length && _code[0].Set.Contains(_text[start])
                    && _code[0].Set.Contains(_text[start + 1]))
                    start++;
            }
        }

        return (-1, -1);
    }

    // Runs a program to its first match, which must end at mustEnd unless that is -1; -1 if there is none.
    private int Run(int pc, int position, int mustEnd)
    {
        var bottom = _depth;
        while (true)
        {
            if (--_steps < 0)
                throw Runaway();
            var step = _code[pc];
            var ok = true;
            switch (step.Op)
            {
                case Op.One:
                    ok = position < _text.Length && step.Set.Contains(_text[position]);
                    position++;
                    pc++;
                    break;
                case Op.Loop or Op.PossessiveLoop:
                    ok = TakeLoop(step, ++pc, ref position);
                    break;
                case Op.Split:
                    Push(new Choice(step.Other, position, position));
                    pc = step.Target;
                    break;
                case Op.Jump:
                    pc = step.Target;
                    break;
                case Op.Look:
                    ok = Looks(step, position) != step.Negative;
                    pc = step.Other;
                    break;
                case Op.Atomic:
                    position = Run(step.Target, position, -1);
                    ok = position >= 0;
                    pc = step.Other;
                    break;
                case Op.At:
                    ok = Holds(step.Test, position);
                    pc++;
                    break;
                case Op.Mark:
                    Push(new Choice(~step.Min, _registers[step.Min], 0));
                    _registers[step.Min] = position;
                    pc++;
                    break;
                case Op.Progress:
                    pc = _registers[step.Min] == position ? step.Target : pc + 1;
                    break;
                case Op.Match:
                    if (mustEnd < 0 || position == mustEnd)
                    {
                        _depth = bottom;
                        return position;
                    }

                    ok = false;
                    break;
            }

            if (!ok && !Backtrack(bottom, out pc, out position))
                return -1;
        }
    }

    // One entry stands for all shorter lengths of a loop over a set: it counts down as it is tried again.
    private bool TakeLoop(Instruction step, int next, ref int position)
    {
        var limit = (int)Math.Min(_text.Length, (long)position + step.Max);
        var end = position;
        while (end < limit && step.Set.Contains(_text[end]))
            end++;
        _steps -= end - position >> 3;
        var lowest = position + step.Min;
        if (end < lowest)
            return false;
        if (end > lowest && step.Op == Op.Loop)
            Push(new Choice(next, end - 1, lowest));
        position = end;
        return true;
    }

    // Lookahead and lookbehind are programs of their own; what they took does not matter.
    private bool Looks(Instruction step, int position)
    {
        if (!step.Behind)
            return Run(step.Target, position, -1) >= 0;
        // The shortest distance first; the subprogram has to end here.
        for (var back = step.Min; back <= Math.Min(step.Max, position); back++)
        {
            if (Run(step.Target, position - back, position) >= 0)
                return true;
        }

        return false;
    }

    // Ruby's anchors: ^ and $ work on every line, and ^ does not hold after a final newline.
    private readonly bool Holds(PositionTest test, int position) => test switch
    {
        PositionTest.LineStart => position == 0 || (position < _text.Length && _text[position - 1] == '\n'),
        PositionTest.LineEnd => position == _text.Length || _text[position] == '\n',
        PositionTest.TextStart => position == 0,
        PositionTest.TextEnd => position == _text.Length,
        PositionTest.TextEndOrLastNewline =>
            position == _text.Length || (position == _text.Length - 1 && _text[position] == '\n'),
        PositionTest.SearchStart => position == _searchStart,
        PositionTest.WordBoundary => IsWord(position - 1) != IsWord(position),
        _ => IsWord(position - 1) == IsWord(position),
    };

    // Positions outside the text are no word.
    private readonly bool IsWord(int position) =>
        (uint)position < _text.Length && UnicodeTables.Word.Contains(_text[position]);

    private readonly MoeUnsupportedException Runaway() =>
        new($"pattern with runaway backtracking: {_pattern.Source}", _pattern.Where);

    // The depth is limited too: a pattern may push more than it steps back.
    private void Push(Choice choice)
    {
        if (_depth > MaxDepth + 8L * _text.Length)
            throw Runaway();
        if (_depth == _stack.Length)
            Array.Resize(ref _stack, 2 * _stack.Length);
        _stack[_depth++] = choice;
    }

    // Takes the newest way not tried, undoing registers on the way; false if the program has none left.
    private bool Backtrack(int bottom, out int pc, out int position)
    {
        while (_depth > bottom)
        {
            var choice = _stack[--_depth];
            if (choice.Target < 0)
            {
                _registers[~choice.Target] = choice.Position;
                continue;
            }

            if (choice.Position > choice.Lowest)
                _stack[_depth++] = choice with { Position = choice.Position - 1 };
            (pc, position) = (choice.Target, choice.Position);
            return true;
        }

        (pc, position) = (0, 0);
        return false;
    }
}
