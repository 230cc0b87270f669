#:package System.Management.Automation@7.6.9
#:property PublishAot=false
#:property ManagePackageVersionsCentrally=false
#:property RestorePackagesWithLockFile=false

// Runs a PowerShell script in the PowerShell 7.6 engine, for machines that have the .NET SDK and no pwsh:
//   dotnet run tests/packaging/pwsh.cs -- build.ps1 Format
using System.Management.Automation;
using System.Management.Automation.Language;
using System.Management.Automation.Runspaces;

string script = Path.GetFullPath(args[0]);
Parser.ParseFile(script, out _, out ParseError[] errors);
foreach (var error in errors)
{
    var place = error.Extent;
    Console.Error.WriteLine($"{script}:{place.StartLineNumber}:{place.StartColumnNumber} {error.Message}");
}

if (errors.Length > 0)
{
    return 1;
}

using var runspace = RunspaceFactory.CreateRunspace(InitialSessionState.CreateDefault2());
runspace.Open();
using var shell = PowerShell.Create(runspace);

// As one line of script: AddArgument would pass names such as -Configuration by position.
shell.AddScript($"& '{script}' {string.Join(' ', args.Skip(1))}");
var output = new PSDataCollection<PSObject>();
output.DataAdded += (_, added) => Console.WriteLine(output[added.Index]);
shell.Streams.Error.DataAdded += (_, added) => Console.Error.WriteLine(shell.Streams.Error[added.Index]);
try
{
    shell.Invoke<PSObject>(null, output);
}
catch (RuntimeException exception)
{
    Console.Error.WriteLine(exception.ErrorRecord);
    return 1;
}

return 0;
