using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Text written so far, with its length in code points, as spans are counted.</summary>
internal sealed class Output(StringBuilder text)
{
    public int CodePoints { get; private set; }

    public void Write(string piece)
    {
        Budget.ChargeText(piece.Length);
        text.Append(piece);
        CodePoints += PyText.Length(piece);
    }

    public override string ToString() => text.ToString();
}
