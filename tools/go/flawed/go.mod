module supply-action/tools/flawed

go 1.26

tool supply-action/tools/flawed

require (
	golang.org/x/crypto v0.0.0-20200622213623-75b288015ac9
	golang.org/x/text v0.3.5
	gopkg.in/yaml.v2 v2.2.2
)

require golang.org/x/sys v0.0.0-20190412213103-97732733099d // indirect
