; Inno Setup: the Windows installer of a bundle. `python start.py build` runs it with /DVersion, /DEdition, /DBundle and /DOutput.
; Per user, so that nobody needs an administrator; "for all users" can be chosen at the start.

#ifndef Version
  #error Run this through: python start.py build
#endif
#define Name "LoRA Extractor"
#define Program "LoRA Extractor.exe"
#define FileKind "LoRAExtractor.safetensors"

[Setup]
AppId={{6E0A7C0B-52C3-4C5E-9C1F-0B8F1D2A7E61}
AppName={#Name}
AppVersion={#Version}
AppVerName={#Name} {#Version}
VersionInfoVersion={#Version}
DefaultDirName={autopf}\{#Name}
DefaultGroupName={#Name}
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0
LicenseFile=..\..\LICENSE
SetupIconFile={#Bundle}\..\..\build\icons\app.ico
UninstallDisplayIcon={app}\{#Program}
UninstallDisplayName={#Name}
OutputDir={#Output}
OutputBaseFilename=LoRA-Extractor{#Edition}-{#Version}-windows-setup
Compression=lzma2
SolidCompression=yes
; A setup program holds at most 2.1 GB; the bundle with CUDA is larger and goes into .bin files beside it.
DiskSpanning=yes
DiskSliceSize=2000000000
ChangesAssociations=yes
ChangesEnvironment=yes
CloseApplications=yes
WizardStyle=modern
#ifdef SignTool
SignTool={#SignTool}
SignedUninstaller=yes
#endif

[Languages]
Name: "english"; MessagesFile: "compiler:Default.isl"
Name: "german"; MessagesFile: "compiler:Languages\German.isl"

[CustomMessages]
english.Associate=Offer {#Name} to open .safetensors files
german.Associate={#Name} zum Öffnen von .safetensors-Dateien anbieten
english.IntoPath=Put the lora-extractor command into the PATH
german.IntoPath=Den Befehl lora-extractor in den PATH aufnehmen

[Tasks]
Name: "associate"; Description: "{cm:Associate}"
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; Flags: unchecked
Name: "path"; Description: "{cm:IntoPath}"; Flags: unchecked

[InstallDelete]
; Files of an older version that the new one no longer has.
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "{#Bundle}\*"; DestDir: "{app}"; Excludes: "\*.exe"; Flags: ignoreversion recursesubdirs createallsubdirs
#ifdef SignTool
Source: "{#Bundle}\*.exe"; DestDir: "{app}"; Flags: ignoreversion signonce
#else
Source: "{#Bundle}\*.exe"; DestDir: "{app}"; Flags: ignoreversion
#endif

[Icons]
Name: "{group}\{#Name}"; Filename: "{app}\{#Program}"
Name: "{autodesktop}\{#Name}"; Filename: "{app}\{#Program}"; Tasks: desktopicon

[Registry]
; OpenWithProgids only: the program joins the list of "Open with" and takes nothing from another one.
Root: HKA; Subkey: "Software\Classes\.safetensors\OpenWithProgids"; ValueType: string; ValueName: "{#FileKind}"; ValueData: ""; Flags: uninsdeletevalue uninsdeletekeyifempty; Tasks: associate
Root: HKA; Subkey: "Software\Classes\{#FileKind}"; ValueType: string; ValueData: "Model weights"; Flags: uninsdeletekey; Tasks: associate
Root: HKA; Subkey: "Software\Classes\{#FileKind}\DefaultIcon"; ValueType: string; ValueData: "{app}\{#Program},0"; Tasks: associate
Root: HKA; Subkey: "Software\Classes\{#FileKind}\shell\open\command"; ValueType: string; ValueData: """{app}\{#Program}"" ""%1"""; Tasks: associate
Root: HKCU; Subkey: "Environment"; ValueType: expandsz; ValueName: "Path"; ValueData: "{olddata};{app}"; Check: PathLacks(ExpandConstant('{app}')); Tasks: path

[Run]
Filename: "{app}\{#Program}"; Description: "{cm:LaunchProgram,{#Name}}"; Flags: nowait postinstall skipifsilent

; There is no [UninstallDelete]: profiles, logs and the cache are the person's, lie in their own folders, and stay.

[Code]
function PathLacks(Folder: string): Boolean;
var
  Path: string;
begin
  if not RegQueryStringValue(HKCU, 'Environment', 'Path', Path) then
    Path := '';
  Result := Pos(';' + Uppercase(Folder) + ';', ';' + Uppercase(Path) + ';') = 0;
end;

procedure CurUninstallStepChanged(Step: TUninstallStep);
var
  Path: string;
begin
  if (Step = usPostUninstall) and RegQueryStringValue(HKCU, 'Environment', 'Path', Path) then
  begin
    Path := ';' + Path + ';';
    if StringChangeEx(Path, ';' + ExpandConstant('{app}') + ';', ';', True) > 0 then
      RegWriteExpandStringValue(HKCU, 'Environment', 'Path', Copy(Path, 2, Length(Path) - 2));
  end;
end;
